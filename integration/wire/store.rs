//! `verge store`: what the program says of the folder that it served from, beside it and afterwards.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{Client, Origin, bytes};

/// Chunks that the large body has.
const CHUNKS: usize = 3;

/// The program, with a folder below RAM.
struct Program {
    process: Child,
    address: SocketAddr,
    admin: String,
}

impl Program {
    fn start(folder: &Path, origin: &Origin) -> Program {
        let mut process = verge(&[
            "run",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--threads",
            "1",
        ])
        .args([
            "--origin",
            &format!("http://{}", origin.address),
            "--ssd-size",
            "64MiB",
            "--ssd",
        ])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = || {
            let line = said.next().unwrap().unwrap();
            line.split_once("http://").unwrap().1.to_owned()
        };
        Program {
            address: address().parse().unwrap(),
            admin: address(),
            process,
        }
    }

    fn end(&mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already if the test did not fail.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn verge(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_verge"));
    program.args(args);
    program
}

fn store(what: &str, folder: &Path, more: &[&str]) -> Output {
    verge(&["store", what]).arg(folder).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What `verge store find` says, with its status.
fn found(folder: &Path, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = store("find", folder, &[&[url], more].concat());
    (output.status.code(), said(&output))
}

#[test]
fn what_the_edge_stored_is_found_in_its_folder() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::start());
    origin.answer_all(|asked| match asked.head.word(1) {
        "/large" => asked.ok(
            &["Cache-Control: max-age=60", "ETag: \"e\""],
            bytes(CHUNKS * 256 * 1024 - 5),
        ),
        "/vary" => asked.ok(&["Cache-Control: max-age=60", "Vary: X-Kind"], "varied"),
        _ => asked.ok(&["Cache-Control: max-age=60", "Surrogate-Key: a b"], "small"),
    });
    let mut program = Program::start(folder.path(), &origin);
    let mut client = Client::to(program.address);
    let url = |path: &str| format!("http://example.test{path}");
    for path in ["/small", "/large", "/vary", "/purged"] {
        client.fetch(path).is(200);
    }
    client.ask("GET", "/vary", &["X-Kind: other"]).rx().is(200);
    let beside = store("list", folder.path(), &[]);
    assert!(beside.status.success() && said(&beside).contains(", in use by a running process"));
    let purge = verge(&["purge", &url("/purged"), "--admin", &program.admin])
        .output()
        .unwrap();
    assert!(purge.status.success());
    program.end();

    let listed = store("list", folder.path(), &["--json"]);
    let listed: serde_json::Value = serde_json::from_str(&said(&listed)).unwrap();
    assert_eq!(
        (&listed["in_use"], &listed["purges"]["hard"]),
        (&false.into(), &1.into())
    );
    assert_eq!(listed["records"]["chunks"]["count"], CHUNKS);
    let verified = store("verify", folder.path(), &[]);
    assert!(verified.status.success(), "{}", said(&verified));

    let (status, small) = found(folder.path(), &url("/small"), &[]);
    assert_eq!(status, Some(0));
    for line in [
        "stored       200 OK, 5 bytes, in the record of its head\n",
        "site         *\n",
        "tags         2\n",
        "purged       no; ",
        "field        cache-control: max-age=60\n",
    ] {
        assert!(small.contains(line), "{line:?} is not in\n{small}");
    }
    let (_, large) = found(folder.path(), &url("/large"), &[]);
    assert!(large.contains("chunks       3 of 3 are here\n"), "{large}");
    let (_, purged) = found(folder.path(), &url("/purged"), &[]);
    assert!(purged.contains("purged       yes; it is not served"), "{purged}");
    let (_, all) = found(folder.path(), &url("/vary"), &[]);
    assert_eq!(all.matches("stored       200 OK, 6 bytes").count(), 2, "{all}");
    let (_, one) = found(folder.path(), &url("/vary"), &["-H", "X-Kind: other"]);
    assert_eq!(one.matches("stored       200 OK, 6 bytes").count(), 1, "{one}");
    assert_eq!(found(folder.path(), &url("/vary"), &["-H", "X-Kind: none"]).0, Some(1));
    assert_eq!(found(folder.path(), &url("/unknown"), &[]).0, Some(1));
}

#[test]
fn damage_and_mistakes_are_told_by_the_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let output = store("verify", folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.ends_with(": no cache is in this folder: name the one that [cache] ssd or --ssd names\n"));
    assert_eq!(verge(&["store"]).output().unwrap().status.code(), Some(2));
    assert_eq!(
        verge(&["store", "find"])
            .arg(folder.path())
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}
