use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::queue::MOST;
use super::*;
use crate::clock::ManualClock;
use crate::config::{LogField, LogFormat};
use crate::policy::fields::Field;
use crate::telemetry::{MethodClass, Outcome, Protocol, Record, Tally};

/// A log, the clock it goes by, and what was counted.
struct Rig {
    log: Arc<AccessLog>,
    clock: ManualClock,
    telemetry: Arc<Telemetry>,
}

impl Rig {
    fn new(log: &Log, out: impl Write + Send + 'static) -> Rig {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250));
        let telemetry = Arc::new(Telemetry::new(1));
        let around: Arc<dyn Clock> = Arc::new(clock.clone());
        let made = AccessLog::writing_to(Sink::to("test", out), log, &around, &telemetry);
        Rig {
            log: made.unwrap(),
            clock,
            telemetry,
        }
    }

    fn begin(&self, seen: &Seen<'_>, status: Option<u16>) -> Option<Line> {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        self.log.begin(seen, self.clock.now().monotonic, status)
    }

    /// Ends a line as a transport does.
    fn end(&self, line: Option<Line>, status: u16, bytes: u64) {
        let record = Record {
            site: None,
            method: MethodClass::Get,
            began: Duration::ZERO,
            origin: None,
            line,
        };
        let status = StatusCode::from_u16(status).unwrap();
        let mut tally = Tally::new(record, Protocol::H1, status, Outcome::Miss, Some("expired"));
        tally.begun(&self.clock);
        self.clock.advance(Duration::from_micros(1_000_001));
        tally.ended(&[], bytes, true, &self.clock);
    }
}

/// A log of this configuration.
fn on(log: Log) -> Log {
    Log {
        access: AccessTarget::Stdout,
        ..log
    }
}

/// Something to write to, and what was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    fn values(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.lines().iter().map(parse).collect()
    }
}

fn seen<'a>(fields: &'a RequestFields<'a>) -> Seen<'a> {
    Seen {
        method: Some("GET"),
        host: Some("example.test"),
        path: Some("/a"),
        query: Some("b=\"c\""),
        version: Some("1.1"),
        fields: Some(fields),
        site: Some("site"),
        ..Seen::nothing_of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), "http")
    }
}

fn lines<'a>(lines: &[(&'a str, &'a [u8])]) -> Vec<Field<'a>> {
    let field = |(name, value): &(&'a str, &'a [u8])| Field {
        name: name.as_bytes(),
        value,
    };
    lines.iter().map(field).collect()
}

#[test]
fn all_fields_in_their_order() {
    let written = Written::default();
    let rig = Rig::new(&on(Log::default()), written.clone());
    let lines = lines(&[
        ("Referer", b"http://x.test/"),
        ("User-Agent", b"test \xff"),
        (
            "traceparent",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ]);
    let fields = RequestFields::new(&lines);
    rig.clock.advance(Duration::from_millis(2_500));
    let mut line = rig.begin(&seen(&fields), None).unwrap();
    rig.clock.advance(Duration::from_micros(70));
    line.asked("app", Some(Duration::from_micros(60)));
    rig.end(Some(line), 200, 1_234);
    rig.log.flush();
    let text = written.lines().remove(0);
    let value: Value = serde_json::from_str(&text).unwrap();
    let id = value["request_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let expected = json!({
        "time": "2023-11-14T22:13:22.750Z",
        "client": "192.0.2.10",
        "method": "GET",
        "scheme": "http",
        "host": "example.test",
        "path": "/a",
        "query": "b=\"c\"",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 1_234,
        "duration": 1.000_071,
        "first_byte": 0.000_07,
        "cache": "miss",
        "cache_detail": "expired",
        "site": "site",
        "origin": "app",
        "origin_duration": 0.000_06,
        "request_id": id,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "referer": "http://x.test/",
        "user_agent": "test \u{fffd}",
    });
    assert_eq!(value, expected);
    let places = LogField::ALL
        .iter()
        .map(|field| text.find(&format!("\"{}\":", field.name())));
    assert!(places.is_sorted());
}

#[test]
fn any_choice_and_order_of_fields_is_json() {
    let all = LogField::ALL;
    let bytes: Vec<u8> = (0..=255).collect();
    let of_client = lines(&[("user-agent", &bytes), ("referer", &bytes)]);
    let known = RequestFields::new(&of_client);
    for at in 0..=all.len() {
        for fields in [&all[at..], &all[..at]] {
            let mut fields = fields.to_vec();
            for _ in 0..2 {
                fields.reverse();
                let written = Written::default();
                let log = on(Log {
                    fields: fields.clone(),
                    ..Log::default()
                });
                let rig = Rig::new(&log, written.clone());
                rig.end(rig.begin(&seen(&known), Some(404)), 404, 0);
                rig.end(
                    rig.begin(&Seen::nothing_of(IpAddr::V6(1.into()), "https"), None),
                    400,
                    7,
                );
                rig.log.flush();
                for value in written.values() {
                    let names = fields.iter().map(|field| field.name());
                    let there: Vec<&str> = names.filter(|name| value.get(name).is_some()).collect();
                    assert_eq!(there.len(), value.as_object().unwrap().len());
                    assert!(
                        value
                            .get("user_agent")
                            .is_none_or(|agent| *agent == *String::from_utf8_lossy(&bytes))
                    );
                }
            }
        }
    }
}

#[test]
fn the_combined_format() {
    let written = Written::default();
    let log = on(Log {
        format: LogFormat::Combined,
        ..Log::default()
    });
    let rig = Rig::new(&log, written.clone());
    let lines = lines(&[("user-agent", b"a\x01\"")]);
    let fields = RequestFields::new(&lines);
    rig.end(rig.begin(&seen(&fields), None), 304, 0);
    rig.end(
        rig.begin(&Seen::nothing_of(IpAddr::V6(1.into()), "https"), None),
        400,
        7,
    );
    drop(rig.begin(&seen(&fields), None));
    rig.log.flush();
    let request = r#""GET /a?b=\x22c\x22 HTTP/1.1""#;
    let expected = [
        format!(r#"192.0.2.10 - - [14/Nov/2023:22:13:20 +0000] {request} 304 0 "-" "a\x01\x22""#),
        r#"::1 - - [14/Nov/2023:22:13:21 +0000] "-" 400 7 "-" "-""#.to_owned(),
        format!(r#"192.0.2.10 - - [14/Nov/2023:22:13:22 +0000] {request} 499 - "-" "a\x01\x22""#),
    ];
    assert_eq!(written.lines(), expected);
}

#[test]
fn a_share_of_the_requests_and_all_errors() {
    let written = Written::default();
    let log = on(Log {
        sample: 0.25,
        ..Log::default()
    });
    let rig = Rig::new(&log, written.clone());
    let fields = RequestFields::new(&[]);
    for round in 0..4_000 {
        // Known at once, and known late.
        let known = (round % 2 == 0).then_some(200);
        rig.end(rig.begin(&seen(&fields), known), 200, 0);
    }
    rig.log.flush();
    let logged = written.lines().len();
    assert!((800..1_200).contains(&logged), "{logged}");
    for status in [Some(500), None] {
        for _ in 0..100 {
            rig.end(rig.begin(&seen(&fields), status), 503, 0);
        }
    }
    rig.log.flush();
    assert_eq!(written.lines().len(), 200);
}

#[test]
fn what_is_dropped_is_logged_as_left() {
    let written = Written::default();
    let rig = Rig::new(&on(Log::default()), written.clone());
    let fields = RequestFields::new(&[]);
    drop(rig.begin(&seen(&fields), None));
    let mut line = rig.begin(&seen(&fields), None).unwrap();
    line.answered(StatusCode::OK);
    drop(line);
    rig.log.flush();
    let values = written.values();
    let statuses: Vec<&Value> = values.iter().map(|value| &value["status"]).collect();
    assert_eq!(statuses, [499, 200]);
    assert!(
        values
            .iter()
            .all(|value| value.get("bytes").is_none() && value.get("cache").is_none())
    );
}

#[test]
fn everything_is_written_when_the_log_goes() {
    let written = Written::default();
    let rig = Rig::new(&on(Log::default()), written.clone());
    let fields = RequestFields::new(&[]);
    for _ in 0..1_000 {
        rig.end(rig.begin(&seen(&fields), None), 200, 0);
    }
    drop(rig);
    assert_eq!(written.values().len(), 1_000);
}

#[test]
fn another_configuration_writes_on_and_may_be_off() {
    let written = Written::default();
    let rig = Rig::new(&on(Log::default()), written.clone());
    let fields = RequestFields::new(&[]);
    let begun = rig.begin(&seen(&fields), None);
    let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
    let other = on(Log {
        fields: vec![LogField::Status],
        ..Log::default()
    });
    let renewed = rig.log.renewed(&other, &clock).unwrap();
    renewed.take_over();
    let line = renewed.begin(&seen(&fields), Duration::ZERO, None);
    rig.end(line, 204, 0);
    rig.end(begun, 200, 0);
    let off = renewed.renewed(&Log::default(), &clock).unwrap();
    off.take_over();
    assert!(off.begin(&seen(&fields), Duration::ZERO, None).is_none());
    assert_eq!(off.reopen(), Ok(None));
    drop((rig, renewed));
    off.flush();
    let lines = written.lines();
    assert_eq!(lines[0], "{\"status\":204}");
    assert!(lines.len() == 2 && lines[1].contains("\"path\""));
}

#[test]
fn a_file_is_opened_again_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    std::fs::write(&path, "before\n").unwrap();
    let log = Log {
        access: AccessTarget::File(path.clone()),
        fields: vec![LogField::Status],
        ..Log::default()
    };
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    let telemetry = Arc::new(Telemetry::new(1));
    let around: Arc<dyn Clock> = Arc::new(clock.clone());
    let opened = AccessLog::open(&log, &around, &telemetry).unwrap().unwrap();
    let rig = Rig {
        log: opened,
        clock,
        telemetry,
    };
    let fields = RequestFields::new(&[]);
    let say = |status| rig.end(rig.begin(&seen(&fields), None), status, 0);
    say(200);
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(rig.log.reopen(), Ok(Some(path.display().to_string())));
    say(201);
    rig.log.flush();
    let text = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(text(&moved), "before\n{\"status\":200}\n");
    assert_eq!(text(&path), "{\"status\":201}\n");
    // Where it cannot be, the one there is stays in use.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = rig.log.reopen().unwrap_err();
    assert!(
        error.starts_with(&format!("cannot open the access log {}: ", path.display())),
        "{error}"
    );
    // And another one may be named.
    let other = Log {
        access: AccessTarget::File(folder.path().join("other.log")),
        ..log
    };
    let renewed = rig.log.renewed(&other, &around).unwrap();
    say(202);
    renewed.take_over();
    say(203);
    rig.log.flush();
    assert_eq!(text(&folder.path().join("other.log")), "{\"status\":203}\n");
}

/// Takes nothing until it is told to, and says when it was asked to.
struct Stuck {
    asked: Sender<()>,
    go_on: Receiver<()>,
    written: Written,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.asked.send(());
        // Told once and for all: an error, because nobody can tell any more.
        let _ = self.go_on.recv();
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_is_stuck_holds_nobody_up() {
    let (asked, was_asked) = channel();
    let (tell, go_on) = channel();
    let written = Written::default();
    let rig = Rig::new(
        &on(Log::default()),
        Stuck {
            asked,
            go_on,
            written: written.clone(),
        },
    );
    let lines = lines(&[("user-agent", &[b'a'; 4_000])]);
    let fields = RequestFields::new(&lines);
    let say = || rig.end(rig.begin(&seen(&fields), None), 200, 0);
    let many = 3 * MOST as u64 / 4_000;
    (0..many).for_each(|_| say());
    was_asked.recv().unwrap();
    let dropped = rig.telemetry.log_lines_dropped.get();
    assert!(dropped > many / 2, "{dropped} of {many}");
    drop(tell);
    rig.log.flush();
    let dropped = rig.telemetry.log_lines_dropped.get();
    assert_eq!(written.values().len() as u64, many - dropped);
}

/// Takes so many bytes, and then none for a while.
struct FullDisk {
    room: Arc<Mutex<usize>>,
    written: Written,
}

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock();
        if *room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(*room);
        *room -= taken;
        self.written.write(&bytes[..taken])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_costs_lines_but_no_line_behind_it() {
    let written = Written::default();
    let room = Arc::new(Mutex::new(20));
    let log = on(Log {
        fields: vec![LogField::Status],
        ..Log::default()
    });
    let rig = Rig::new(
        &log,
        FullDisk {
            room: Arc::clone(&room),
            written: written.clone(),
        },
    );
    let fields = RequestFields::new(&[]);
    let say = |status| {
        rig.end(rig.begin(&seen(&fields), None), status, 0);
        rig.log.flush();
    };
    say(200);
    say(201);
    assert_eq!(rig.telemetry.log_lines_dropped.get(), 1);
    *room.lock() = usize::MAX;
    say(202);
    assert_eq!(written.lines(), ["{\"status\":200}", "{\"sta", "{\"status\":202}"]);
}
