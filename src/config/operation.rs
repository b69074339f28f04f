//! How the edge is watched, told what to do, and ends: `[server]` and `[log]`, from the file as typed.

use std::net::SocketAddr;

use super::file::{self, Texts};
use super::log::{AccessTarget, EventFormat, Level, Log, LogField, LogFormat};
use super::nearest::nearest;
use super::resolve::Resolver;
use super::transport::choice;
use super::{Admin, Drain};

const FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("combined", LogFormat::Combined)];

const LEVELS: [(&str, Level); 4] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

const EVENTS: [(&str, EventFormat); 2] = [("text", EventFormat::Text), ("json", EventFormat::Json)];

/// Where the edge is watched and told what to do.
pub(super) fn admin(resolver: &mut Resolver, server: &file::Server) -> Option<Admin> {
    let token = resolver.token(&server.admin_token);
    let default = Some(Admin::default().address);
    let address = resolver.parsed(&server.admin, default, parse_admin)?;
    Some(Admin { address, token })
}

/// Where the admin listener is; none: there is none.
pub fn parse_admin(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "off" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| format!("`{text}` is not an address; write IP:PORT, such as \"127.0.0.1:9180\", or \"off\"")),
    }
}

/// How the edge ends.
pub(super) fn drain(resolver: &mut Resolver, server: &file::Server) -> Drain {
    let default = Drain::default();
    Drain {
        wait: resolver.duration(&server.drain_wait, default.wait),
        finish: resolver.duration(&server.drain, default.finish),
    }
}

/// What is logged.
pub(super) fn log(resolver: &mut Resolver, log: &file::Log) -> Log {
    let default = Log::default();
    Log {
        access: resolver.parsed(&log.access, default.access, parse_access),
        format: resolver.word(&log.format, default.format, "a format of the access log", &FORMATS),
        fields: fields(resolver, &log.fields),
        sample: resolver.share(&log.sample, default.sample),
        level: resolver.word(&log.level, default.level, "a level", &LEVELS),
        events: resolver.word(&log.events, default.events, "a format of events", &EVENTS),
    }
}

/// A path has a slash or a dot, so that no misspelt word becomes a file.
fn parse_access(text: &str) -> Result<AccessTarget, String> {
    match text {
        "off" => Ok(AccessTarget::Off),
        "stdout" => Ok(AccessTarget::Stdout),
        path if path.contains(['/', '.']) => Ok(AccessTarget::File(path.into())),
        other => Err(match nearest(other, ["off", "stdout"]) {
            Some(meant) => format!("`{other}` is no place for the access log; did you mean \"{meant}\"?"),
            None => format!(
                "`{other}` is no place for the access log; write \"off\", \"stdout\" or a path such as \"/var/log/verge/access.log\""
            ),
        }),
    }
}

fn fields(resolver: &mut Resolver, named: &Texts) -> Vec<LogField> {
    let what = "field of the access log";
    choice(resolver, named, LogField::ALL, what, |field| field.name().to_owned())
}
