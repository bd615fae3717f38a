//! A login under way, and one that was cut off.

use std::os::unix::fs::DirBuilderExt as _;

use tempfile::TempDir;

use super::*;
use crate::archive::root::init;
use crate::config::Config;
use crate::daemon::instance::Instance;
use crate::log::Redactor;

fn config(temp: &TempDir) -> Config {
    let at = temp.path().display();
    let text = format!(
        "[archive]\nroot = \"{at}/mail\"\n[daemon]\nstate_dir = \"{at}/state\"\n\
         [outbound.relay]\nhost = \"h\"\nuser = \"u\"\npassword = {{ key = \"k\" }}\n\
         from = \"r@example.org\"\n"
    );
    let loaded = crate::config::load_text(&text, Path::new("/x"), Timestamp::UNIX_EPOCH);
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

#[tokio::test]
async fn a08_login_under_way_is_not_taken_for_one_that_was_cut_off() {
    let temp = tempfile::tempdir().unwrap();
    init(&temp.path().join("mail"), 0o750).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(temp.path().join("state")).unwrap();
    let config = config(&temp);
    let instance = Instance::open(&config, Redactor::default()).await.unwrap();
    let (refusals, account) = (Refusals::new(instance.tools.clone()), &config.outbound["relay"]);
    let found = async || refusals.row(&account.name).await.unwrap();
    let witness = refusals.witness(account);
    witness.permit_login().await.unwrap();
    // A notice asks while a forward logs in.
    refusals.gate(account).await.unwrap();
    let row = found().await.unwrap();
    assert_eq!((row.state.auth_failures, row.login_open_at.is_some()), (0, true));
    // What comes behind the login may be cut off at any moment.
    witness.logged_in().await;
    assert_eq!(found().await, None);
    assert!(!refusals.permit(account).await.unwrap());
    // Nobody has the turn and a login is open: it was cut off. The first one asks for no rest.
    witness.permit_login().await.unwrap();
    assert!(refusals.permit(account).await.unwrap());
    assert_eq!(found().await.unwrap().state.auth_failures, 1);
    witness.permit_login().await.unwrap();
    refusals.gate(account).await.unwrap();
    assert!(matches!(refusals.permit(account).await, Err(Kept::Rests(_))));
    assert!(matches!(refusals.gate(account).await, Err(Kept::Rests(_))));
    instance.close().await;
}
