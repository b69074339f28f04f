//! HTTP/2 with hostile and merely unusual clients: what RFC 9113 and RFC 7541 demand of a server, one case for each demand.
//!
//! Every case has a connection of its own, on which it sends frames written by hand. Where an RFC leaves a choice, each
//! choice passes; where it says MUST, nothing else does. With two exceptions: where the RFC names the code of a connection
//! error, GOAWAY may say PROTOCOL_ERROR as well, which the line of the case then tells; with `H2_CODES=exact` in the
//! environment it may not. And [`DEVIATIONS`].
//!
//! With `H2_SERVER=127.0.0.1:8080` in the environment the cases run against another server.

#![allow(clippy::unwrap_used)]

mod fields;
mod frames;
mod huffman;
mod peer;
mod server;

mod floods;
mod frames_continuation;
mod frames_control;
mod frames_data;
mod frames_headers;
mod frames_settings;
mod frames_window;
mod framing;
mod hpack;
mod messages;
mod requests;
mod starting;
mod streams;

use peer::{Outcome, Peer};
use server::UnderTest;

/// Cases are added, never lost.
const AT_LEAST: usize = 454;

/// Where Verge is known to do otherwise, by the case's name, and why. Whatever is mended leaves this list.
const DEVIATIONS: &[(&str, &str)] = &[
    ("a pseudo-header in trailers", TRAILERS),
    ("a response's pseudo-header in trailers", TRAILERS),
];
const TRAILERS: &str = "the h2 library leaves pseudo-headers out of trailers, so that none is passed on";

/// One demand.
pub struct Case {
    /// Where it stands: a section of RFC 9113 unless named otherwise.
    section: &'static str,
    name: &'static str,
    run: fn(&mut Peer) -> Outcome,
}

const fn case(section: &'static str, name: &'static str, run: fn(&mut Peer) -> Outcome) -> Case {
    Case { section, name, run }
}

const CHAPTERS: [&[Case]; 13] = [
    starting::CASES,
    framing::CASES,
    streams::CASES,
    frames_data::CASES,
    frames_headers::CASES,
    frames_control::CASES,
    frames_settings::CASES,
    frames_window::CASES,
    frames_continuation::CASES,
    messages::CASES,
    requests::CASES,
    hpack::CASES,
    floods::CASES,
];

/// What became of a case.
enum Verdict {
    Passed,
    /// Ended as it must, but with PROTOCOL_ERROR for a code.
    Vague,
    Deviates(&'static str),
    Failed(String),
}

impl Case {
    fn verdict(&self, server: &UnderTest, exact: bool) -> Verdict {
        let mut vague = false;
        let outcome = Peer::connect(server.address).and_then(|mut peer| {
            let outcome = (self.run)(&mut peer);
            vague = peer.vague;
            outcome
        });
        let known = DEVIATIONS
            .iter()
            .find(|(name, _)| server.is_verge() && *name == self.name);
        match (outcome, known) {
            (Ok(()), None) if vague && exact => Verdict::Failed("GOAWAY says PROTOCOL_ERROR".to_owned()),
            (Ok(()), None) if vague => Verdict::Vague,
            (Ok(()), None) => Verdict::Passed,
            (Ok(()), Some(_)) => Verdict::Failed("passes, but is listed as a deviation".to_owned()),
            (Err(_), Some((_, why))) => Verdict::Deviates(why),
            (Err(why), None) => Verdict::Failed(why),
        }
    }
}

#[test]
fn conforms() {
    let server = UnderTest::start();
    let exact = std::env::var("H2_CODES").is_ok_and(|codes| codes == "exact");
    let (mut run, mut vague, mut failed) = (0, 0, 0);
    for case in CHAPTERS.iter().copied().flatten() {
        let verdict = case.verdict(&server, exact);
        run += 1;
        vague += usize::from(matches!(verdict, Verdict::Vague));
        failed += usize::from(matches!(verdict, Verdict::Failed(_)));
        let Case { section, name, .. } = case;
        match verdict {
            Verdict::Passed => println!("{section} {name}: ok"),
            Verdict::Vague => println!("{section} {name}: ok, with PROTOCOL_ERROR"),
            Verdict::Deviates(why) => println!("{section} {name}: deviates: {why}"),
            Verdict::Failed(why) => println!("{section} {name}: FAILED {why}"),
        }
    }
    println!("{run} cases, {failed} failed, {vague} with PROTOCOL_ERROR for a code that says more");
    assert_eq!(failed, 0);
    assert!(run >= AT_LEAST, "{run} cases");
}
