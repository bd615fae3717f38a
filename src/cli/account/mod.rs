//! `postrider account`: what a person sees of an account and does to it.

mod add;
mod debug;
mod edit;
mod list;
mod orders;
mod remove;
mod show;

use clap::{Args, Subcommand};

use super::Context;
use super::exit::Exit;

pub(super) const AFTER_HELP: &str = "\
Example: postrider account pause invoices --for 2h --reason moving
A pause is kept over restarts and ends by its time or by `postrider account resume`.";

/// List, show, pause, resume and debug accounts.
#[derive(Args, Debug)]
pub(super) struct Account {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// Add an account: find its servers, try it, write its file, keep its password
    #[command(after_help = add::AFTER_HELP)]
    Add(Box<add::Add>),
    /// Edit an account's file; it is checked before it counts
    #[command(after_help = edit::AFTER_HELP)]
    Edit(edit::Edit),
    /// Take away an account's own file; its mail stays, on the server and here
    #[command(after_help = "Example: postrider account remove invoices")]
    Remove(remove::Remove),
    /// Show all accounts: server, user, state, last success
    #[command(after_help = "Example: postrider account list --json")]
    List(list::List),
    /// Show an account's keys, each with its value and where that comes from
    #[command(after_help = "Example: postrider account show invoices --effective")]
    Show(show::Show),
    /// Poll an account no more, until its time is over or a resume; kept over restarts
    #[command(after_help = "Example: postrider account pause invoices --for 2h --reason moving")]
    Pause(orders::Pause),
    /// End a pause or a stop: refused logins, or deletes that were stopped
    #[command(after_help = "Example: postrider account resume invoices")]
    Resume(orders::Resume),
    /// Have the daemon log everything of an account for a time, its dialogue with the server too
    #[command(after_help = "Example: postrider account debug invoices --for 10m")]
    Debug(debug::Debug),
}

impl Account {
    pub(super) fn run(self, context: &Context) -> Exit {
        match self.verb {
            AccountVerb::Add(verb) => verb.run(context),
            AccountVerb::Edit(verb) => verb.run(context),
            AccountVerb::Remove(verb) => verb.run(context),
            AccountVerb::List(list::List {}) => list::List::run(context),
            AccountVerb::Show(verb) => verb.run(context),
            AccountVerb::Pause(verb) => verb.run(context),
            AccountVerb::Resume(verb) => verb.run(context),
            AccountVerb::Debug(verb) => verb.run(context),
        }
    }
}
