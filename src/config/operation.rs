//! How the edge is watched, told what to do, and ends: `[server]` and `[log]`, from the file as typed.

use std::net::SocketAddr;

use toml::Spanned;

use super::file;
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
pub(super) fn admin(resolver: &mut Resolver<'_>, server: &file::Server) -> Option<Admin> {
    let token = resolver.token(server.admin_token.as_ref());
    let default = Some(Admin::default().address);
    let address = resolver.parsed(server.admin.as_ref(), default, parse_admin)?;
    if let Some(given) = &server.admin
        && server.admin_token.is_none()
        && !address.ip().to_canonical().is_loopback()
    {
        let what = "not a loopback address: without admin_token only /livez, /readyz and /metrics are served";
        resolver.warn(Some(given.span().start), what.to_owned());
    }
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
pub(super) fn drain(resolver: &mut Resolver<'_>, server: &file::Server) -> Drain {
    let default = Drain::default();
    Drain {
        wait: resolver.duration(server.drain_wait.as_ref(), default.wait),
        finish: resolver.duration(server.drain.as_ref(), default.finish),
    }
}

/// What is logged.
pub(super) fn log(resolver: &mut Resolver<'_>, log: &file::Log) -> Log {
    let default = Log::default();
    Log {
        access: resolver.parsed(log.access.as_ref(), default.access, parse_access),
        format: resolver.word(
            log.format.as_ref(),
            default.format,
            "a format of the access log",
            &FORMATS,
        ),
        fields: fields(resolver, log.fields.as_ref()),
        sample: resolver.share(log.sample.as_ref(), default.sample),
        level: resolver.word(log.level.as_ref(), default.level, "a level", &LEVELS),
        events: resolver.word(log.events.as_ref(), default.events, "a format of events", &EVENTS),
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

fn fields(resolver: &mut Resolver<'_>, named: Option<&Spanned<Vec<Spanned<String>>>>) -> Vec<LogField> {
    let fields = choice(resolver, named, LogField::ALL, "field of the access log", |field| {
        field.name().to_owned()
    });
    for (place, name) in named.iter().flat_map(|named| named.get_ref().iter().enumerate()) {
        let earlier = named.iter().flat_map(|named| &named.get_ref()[..place]);
        if earlier.into_iter().any(|other| other.get_ref() == name.get_ref()) {
            let what = format!("`{}` is named already; name each field once", name.get_ref());
            resolver.wrong(Some(name.span().start), what);
        }
    }
    fields
}
