//! Connections of a server: commands in, answers out, as the faults have it.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::wire::Wire;
use super::{Answer, Dialect, Fault, Heard, Protection, Protocol, Shared, imap, pop3, smtp};

/// Serves each connection in a thread of its own.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let id = {
            let mut state = shared.state();
            if state.ended {
                return;
            }
            state.connections += 1;
            let id = state.connections;
            state.open.insert(id, stream.try_clone().unwrap());
            state.busy.insert(id);
            state.most_busy = state.most_busy.max(state.busy.len());
            id
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let ending = stream.try_clone().unwrap();
            // A client that goes away in the middle is the test's matter, not the server's.
            let reset = serve(&shared, id, stream).unwrap_or(false);
            {
                let mut state = shared.state();
                state.open.remove(&id);
                state.busy.remove(&id);
            }
            if !reset {
                drop(ending.shutdown(Shutdown::Both));
            }
        });
    }
}

/// One connection; says whether it is to end by a reset.
fn serve(shared: &Arc<Shared>, id: usize, tcp: TcpStream) -> std::io::Result<bool> {
    let dialect: Box<dyn Dialect> = match shared.kind.protocol {
        Protocol::Imap => Box::new(imap::Imap::new(Arc::clone(shared))),
        Protocol::Pop3 => Box::new(pop3::Pop3::new(Arc::clone(shared))),
        Protocol::Smtp => Box::new(smtp::Smtp::new(Arc::clone(shared))),
    };
    let mut connection = Connection { shared, wire: Wire::new(tcp)?, dialect };
    let fault = shared.state().fault_at("accept");
    if let Some(reset) = connection.say("", &Answer::default(), fault)? {
        return Ok(reset);
    }
    if shared.kind.protection == Protection::Tls {
        connection.start_tls()?;
    }
    let fault = shared.state().fault_at("connect");
    let greeting = Answer::of(connection.dialect.greeting());
    let mut end = connection.say("", &greeting, fault)?;
    while end.is_none() {
        let line = connection.wire.line()?;
        let (tag, command) = connection.dialect.split(&line);
        let (tag, fault) = {
            let mut state = shared.state();
            let poll = state.poll;
            if matches!(command, "LOGOUT" | "QUIT") {
                state.busy.remove(&id);
            }
            state.heard.push(Heard { connection: id, poll, line: line.clone() });
            (tag.to_owned(), state.fault_at(command))
        };
        let acts = fault.as_ref().is_none_or(Fault::lets_it_happen);
        let answer = if acts { connection.dialect.answer(&line) } else { Answer::default() };
        end = connection.say(&tag, &answer, fault)?;
    }
    Ok(end.unwrap_or(false))
}

struct Connection<'a> {
    shared: &'a Shared,
    wire: Wire,
    dialect: Box<dyn Dialect>,
}

impl Connection<'_> {
    /// Says an answer as the fault has it; `Some` when the connection is over.
    fn say(
        &mut self,
        tag: &str,
        answer: &Answer,
        fault: Option<Fault>,
    ) -> std::io::Result<Option<bool>> {
        let fault = fault.unwrap_or_default();
        thread::sleep(Duration::from_millis(fault.wait_ms));
        let octets = fault.octets(tag, answer.octets.clone());
        self.wire.send(&octets, &fault)?;
        if let Some(reset) = self.wire.end_by(fault.then)? {
            return Ok(Some(reset));
        }
        if answer.tls {
            self.start_tls()?;
        }
        Ok(answer.end.then_some(false))
    }

    fn start_tls(&mut self) -> std::io::Result<()> {
        self.wire.start_tls(self.shared.tls.clone().expect("certs"))?;
        self.dialect.encrypted();
        Ok(())
    }
}
