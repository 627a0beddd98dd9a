//! A backup that GnuPG opens, that says when it is not whole, and from which a whole desk comes back, held.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use embargod::domain::facts::names::Moment;
use embargod::edge::pgp::{Certificate, generate_for_gnupg};

/// An operator, and a maintainer who is none.
const PEOPLE: &str = r#"
[files]
templates = "TEMPLATES"

[metrics]
file = "figures.prom"

[[person]]
id = "mia"
name = "Mia"
address = "mia@example.org"
certificate = "MIA"
roles = ["security_team", "release", "operator"]

[[person]]
id = "tom"
name = "Tom"
address = "tom@example.org"
certificate = "keys/tom.asc"
roles = ["security_team", "release"]
"#;

struct Place {
    root: tempfile::TempDir,
}

fn now() -> Moment {
    Moment::from(std::time::SystemTime::now())
}

fn write(path: &Path, text: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Place {
    /// A desk with its files in four places: beside the config, elsewhere, and with systemd.
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        let (code, said) = place.run(&[
            "init",
            &place.text("desk"),
            "--address",
            "security@example.org",
            "--name",
            "Example",
        ]);
        assert!(code, "{said}");
        for who in ["mia", "tom"] {
            let secret = generate_for_gnupg(who, &format!("{who}@example.org"), now()).unwrap();
            let public = Certificate::read(&secret).unwrap().armored();
            let folder = if who == "mia" { "elsewhere" } else { "desk/keys" };
            write(&place.at(&format!("{folder}/{who}.asc")), public.as_bytes());
            write(&place.at(&format!("secrets/{who}.secret")), &secret);
        }
        write(&place.at("credentials/imap"), b"hush-imap\n");
        write(&place.at("elsewhere/smtp"), b"hush-smtp\n");
        write(&place.at("texts/de/answer.txt"), b"");
        std::fs::remove_file(place.at("texts/de/answer.txt")).unwrap();
        let path = place.at("desk/embargod.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace(
                "password_file = \"keys/imap-password\"",
                "password_file = \"credential:imap\"",
            )
            .replace(
                "password_file = \"keys/smtp-password\"",
                &format!("password_file = \"{}\"  # here", place.text("elsewhere/smtp")),
            )
            .replace("playbook = \"minder\"", "playbook = \"default\"");
        let people = PEOPLE
            .replace("MIA", &place.text("elsewhere/mia.asc"))
            .replace("TEMPLATES", &place.text("texts"));
        write(&path, (text + &people).as_bytes());
        let (code, said) = place.desk(&["check", "--offline"]);
        assert!(code, "{said}");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embargod"));
        command.env("CREDENTIALS_DIRECTORY", self.at("credentials")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// A command of the desk.
    fn desk(&self, arguments: &[&str]) -> (bool, String) {
        // By a link, as where several desks have their configs in one folder.
        let (link, config) = (self.at("link.toml"), self.at("desk/embargod.toml"));
        if !link.is_symlink() {
            std::os::unix::fs::symlink(config, &link).unwrap();
        }
        let config = link.display().to_string();
        self.run(&[&["--config", &config], arguments].concat())
    }

    fn key(&self, file: &str) -> [String; 3] {
        [file.to_owned(), "--key".to_owned(), self.text("secrets/mia.secret")]
    }

    /// Opens a backup as an operator does at home.
    fn gpg(&self, who: &str, file: &Path) -> Option<Vec<u8>> {
        let home = Path::new("/tmp").join(format!("embb-{}-{who}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let gpg = |arguments: &[&str]| {
            Command::new("gpg")
                .arg("--homedir")
                .arg(&home)
                .args(["--batch", "--quiet"])
                .args(arguments)
                .output()
                .unwrap()
        };
        assert!(gpg(&["--import", &self.text(&format!("secrets/{who}.secret"))]).status.success());
        let opened = gpg(&["--decrypt", file.to_str().unwrap()]);
        let _ =
            Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "all"]).output();
        std::fs::remove_dir_all(&home).unwrap();
        opened.status.success().then_some(opened.stdout)
    }

    fn with_input(&self, arguments: &[&str], input: &[u8]) -> (bool, String) {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever refuses it stops reading.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    fn backup(&self) -> PathBuf {
        let file = self.at("copy.pgp");
        let (done, said) = self.desk(&["backup", file.to_str().unwrap()]);
        assert!(done && said.contains("read back, opened, and compared"), "{said}");
        file
    }
}

#[test]
fn an_operator_opens_it_with_gnupg_and_the_whole_desk_comes_back_held() {
    let place = Place::new();
    let file = place.backup();
    let bytes = std::fs::read(&file).unwrap();
    for word in ["hush-imap", "[[person]]", "mia@example.org", "manifest.json"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(place.gpg("tom", &file).is_none(), "tom is no operator");
    let opened = place.gpg("mia", &file).unwrap();
    // Without this program it is a tar.
    write(&place.at("opened.tar"), &opened);
    let list = Command::new("tar").arg("-tf").arg(place.at("opened.tar")).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for name in
        ["config/embargod.toml", "store/embargod.db", "config/keys/desk.asc", "manifest.json.asc"]
    {
        assert!(list.lines().any(|line| line == name), "{name}: {list}");
    }
    let to = place.text("back");
    let (done, said) = place.with_input(&["restore", "-", "--to", &to], &opened);
    assert!(done, "{said}");
    assert!(said.contains("is HELD") && said.contains("Left out of the config: metrics"), "{said}");
    // It stands by itself: nothing in it points to where it came from.
    let config = place.text("back/embargod.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(!text.contains(&place.text("")) && !text.contains("credential:imap"), "{text}");
    for comment in ["# here", "# opens the keys"] {
        assert!(text.contains(comment), "comments stay: {comment} {text}");
    }
    std::fs::rename(place.at("desk"), place.at("lost")).unwrap();
    std::fs::rename(place.at("elsewhere"), place.at("lost-too")).unwrap();
    let (done, said) = place.run(&["--config", &config, "check", "--offline"]);
    assert!(done, "{said}");
    let (_, said) = place.run(&["--config", &config, "status"]);
    assert!(said.contains("No desk runs") || said.contains("no desk runs"), "{said}");
    let (done, said) = place.run(&["--config", &config, "journal", "verify"]);
    assert!(done, "{said}");
    let (done, said) = place.run(&["--config", &config, "restored", "--yes"]);
    assert!(done, "{said}");
    // A second time it is not put over what is there.
    let (done, said) = place.with_input(&["restore", "-", "--to", &to], &opened);
    assert!(!done && said.contains("is not empty; nothing was restored"), "{said}");
}

#[test]
fn what_is_not_whole_or_is_another_desks_is_refused() {
    let place = Place::new();
    let file = place.backup();
    let name = file.display().to_string();
    let (done, said) = place.desk(&["backup", "verify", &name]);
    assert!(done && said.contains("is as this desk wrote it"), "{said}");
    let key = place.key(&name);
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let (done, said) = place.desk(&[&["backup", "verify"], &key[..]].concat());
    assert!(done && said.contains("its history is whole"), "{said}");
    assert!(!place.at("copy.pgp.restoring").exists());
    let to = place.text("back");
    let restore = |more: &[&str]| place.run(&[&["restore", "--to", &to], &key[..], more].concat());
    let other = "AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA AAAA";
    let (done, said) = restore(&["--fingerprint", other]);
    assert!(!done && said.contains("nothing was restored"), "{said}");
    let bytes = std::fs::read(&file).unwrap();
    for at in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 5] {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        std::fs::write(&file, &wrong).unwrap();
        let (done, said) = restore(&[]);
        assert!(!done, "{at}: {said}");
        assert!(!place.at("back").exists(), "{at}: nothing is left");
        let (done, said) = place.desk(&["backup", "verify", &name]);
        assert!(!done && said.contains("is not as the desk wrote it"), "{said}");
    }
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(!restore(&[]).0 && !place.at("back").exists());
    std::fs::write(&file, &bytes).unwrap();
    assert!(restore(&[]).0);
    // Made by whoever has the operator's certificate, which anybody has, and no desk.
    let opened = place.gpg("mia", &file).unwrap();
    let at =
        opened.windows(10).position(|window| window == b"\"security@").unwrap_or(opened.len() / 2);
    let mut forged = opened.clone();
    forged[at + 1] ^= 1;
    let (done, said) = place.with_input(&["restore", "-", "--to", &place.text("forged")], &forged);
    assert!(!done && !place.at("forged").exists(), "{said}");
}

#[test]
fn a_folder_keeps_as_many_as_are_wanted() {
    let place = Place::new();
    let folder = place.at("backups");
    std::fs::create_dir(&folder).unwrap();
    for old in [
        "embargod-EXAM-20200101T000000Z.pgp",
        "embargod-EXAM-20200102T000000Z.pgp",
        "embargod-OTHER-20200101T000000Z.pgp",
    ] {
        write(&folder.join(old), b"old");
    }
    let stopped = folder.join("embargod-EXAM-20200103T000000Z.pgp.copy");
    write(&stopped, b"left");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    std::fs::File::options().write(true).open(&stopped).unwrap().set_modified(long_ago).unwrap();
    let (done, said) = place.desk(&["backup", &place.text("backups"), "--keep", "2"]);
    assert!(done, "{said}");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".asc"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"embargod-OTHER-20200101T000000Z.pgp".to_owned()), "{names:?}");
    assert!(!names.contains(&"embargod-EXAM-20200101T000000Z.pgp".to_owned()), "{names:?}");
    let (_, said) = place.desk(&["status"]);
    assert!(said.contains("backup     taken"), "{said}");
    let (done, said) = place.desk(&["backup", &place.text("one.pgp"), "--keep", "2"]);
    assert!(!done && said.contains("is for a folder"), "{said}");
}

#[test]
fn nobody_who_could_open_it_is_no_backup() {
    let place = Place::new();
    let path = place.at("desk/embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(", \"operator\"]", "]")).unwrap();
    let (done, said) = place.desk(&["backup", &place.text("copy.pgp")]);
    assert!(!done && said.contains("nobody could open a backup"), "{said}");
    let also = place.text("desk/keys/tom.asc");
    let (done, said) = place.desk(&["backup", &place.text("copy.pgp"), "--also", &also]);
    assert!(done, "{said}");
    assert!(place.gpg("tom", &place.at("copy.pgp")).is_some());
}
