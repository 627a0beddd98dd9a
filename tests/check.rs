//! Set-ups that are broken, one thing each, and what `embargod check` says of them: where, what, and the next step.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use embargod::domain::facts::names::Moment;
use embargod::edge::pgp::{Certificate, generate};
use serde_json::Value;

/// Two maintainers, and servers that nobody asks here.
const PEOPLE: &str = r#"
[[person]]
id = "mia"
name = "Mia"
address = "mia@example.org"
certificate = "keys/mia.asc"
roles = ["security_team", "release", "operator"]

[[person]]
id = "tom"
name = "Tom"
address = "tom@example.org"
certificate = "keys/tom.asc"
roles = ["security_team", "release"]
"#;

fn now() -> Moment {
    Moment::from(std::time::SystemTime::now())
}

fn embargod(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_embargod")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn certificate(folder: &Path, id: &str, address: &str) {
    let (secret, _) = generate(id, address, None, Some(2), now()).unwrap();
    let public = Certificate::read(&secret).unwrap().armored();
    std::fs::write(folder.join(format!("keys/{id}.asc")), public).unwrap();
    std::fs::write(folder.join(format!("keys/{id}.secret")), &secret).unwrap();
}

/// A desk that is in order.
fn desk(folder: &Path) {
    let place = folder.display().to_string();
    let made = ["init", &place, "--address", "security@example.org", "--name", "Example"];
    let (code, said) = embargod(&made);
    assert_eq!(code, Some(0), "{said}");
    certificate(folder, "mia", "mia@example.org");
    certificate(folder, "tom", "tom@example.org");
    certificate(folder, "weak", "mia@example.org");
    for name in ["imap-password", "smtp-password"] {
        let path = folder.join("keys").join(name);
        std::fs::write(&path, "hush\n").unwrap();
        private(&path);
    }
    change(folder, |text| {
        let end = text.find("\n[[person]]").unwrap_or(text.len());
        let text = text[..end].replace("playbook = \"minder\"", "playbook = \"default\"");
        text + PEOPLE
    });
}

fn private(path: &Path) {
    mode(path, 0o600);
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn change(folder: &Path, how: impl FnOnce(String) -> String) {
    let path = folder.join("embargod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, how(text)).unwrap();
}

fn swap(old: &'static str, new: &'static str) -> impl Fn(&Path) {
    move |folder| {
        change(folder, |text| {
            assert!(text.contains(old), "{old}");
            text.replacen(old, new, 1)
        });
    }
}

/// What is found that is not in order: level, place, what and next.
fn found(folder: &Path) -> Vec<[String; 4]> {
    let config = folder.join("embargod.toml").display().to_string();
    let (_, said) = embargod(&["--config", &config, "check", "--offline", "--json"]);
    let all: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let all = all.as_array().unwrap().iter().map(|one| {
        ["level", "place", "what", "next"].map(|key| one[key].as_str().unwrap().to_owned())
    });
    all.filter(|[level, ..]| level != "ok" && level != "note").collect()
}

type Row<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>, &'a str, &'a str, &'a str);

fn text(name: &'static str, text: &'static str) -> impl Fn(&Path) {
    move |folder| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        private(&path);
    }
}

fn gone(name: &'static str) -> impl Fn(&Path) {
    move |folder| std::fs::remove_file(folder.join(name)).unwrap()
}

fn also(first: impl Fn(&Path), second: impl Fn(&Path)) -> impl Fn(&Path) {
    move |folder| {
        first(folder);
        second(folder);
    }
}

/// What is broken; how; and what must stand in the level, the place and the words.
fn table<'a>() -> Vec<Row<'a>> {
    vec![
        ("a mistyped key", Box::new(swap("zone = ", "zoen = ")), "wrong", "embargod.toml:", "zoen"),
        (
            "no such zone",
            Box::new(swap("\"UTC\"", "\"Europe/Atlantis\"")),
            "wrong",
            ".toml:9",
            "Atlantis",
        ),
        (
            "a bad prefix",
            Box::new(swap("prefix = \"EXAM\"", "prefix = \"e\"")),
            "wrong",
            ".toml:8",
            "no prefix",
        ),
        (
            "no playbook",
            Box::new(swap("\"default\"", "\"defualt\"")),
            "wrong",
            ".toml:10",
            "no playbook `defualt`",
        ),
        (
            "a mistyped desk address",
            Box::new(swap("address = \"security@", "address = \"securty@")),
            "warn",
            "toml:",
            "is for security@example.org",
        ),
        (
            "no desk address",
            Box::new(swap("address = \"security@example.org\"", "address = \"security\"")),
            "wrong",
            ".toml:7",
            "no mail address",
        ),
        (
            "no passphrase file",
            Box::new(gone("keys/passphrase")),
            "wrong",
            "toml:",
            "passphrase is not there",
        ),
        (
            "another passphrase",
            Box::new(text("keys/passphrase", "other\n")),
            "wrong",
            "toml:",
            "passphrase does not open it",
        ),
        (
            "a passphrase that all may read",
            Box::new(|folder: &Path| mode(&folder.join("keys/passphrase"), 0o644)),
            "warn",
            "toml:",
            "mode 0644",
        ),
        (
            "a key that all may read",
            Box::new(|folder: &Path| mode(&folder.join("keys/desk.asc"), 0o640)),
            "warn",
            "toml:",
            "others may read",
        ),
        (
            "a password that all may read",
            Box::new(|folder: &Path| mode(&folder.join("keys/imap-password"), 0o604)),
            "warn",
            "toml:",
            "mode 0604",
        ),
        (
            "an empty password",
            Box::new(text("keys/smtp-password", "\n")),
            "wrong",
            "toml:",
            "smtp-password is empty",
        ),
        (
            "no password",
            Box::new(gone("keys/imap-password")),
            "wrong",
            "toml:",
            "imap-password is not there",
        ),
        (
            "a folder as a password",
            Box::new(swap("\"keys/imap-password\"", "\"keys\"")),
            "wrong",
            "toml:",
            "keys is a folder",
        ),
        (
            "a certificate as the desk's key",
            Box::new(swap("\"keys/desk.asc\"", "\"keys/desk.public.asc\"")),
            "wrong",
            "toml:",
            "without its secret key",
        ),
        (
            "a credential outside of the unit",
            Box::new(swap("\"keys/passphrase\"", "\"credential:passphrase\"")),
            "wrong",
            "toml:",
            "credential `passphrase` is not given",
        ),
        (
            "somebody's secret key",
            Box::new(swap("\"keys/tom.asc\"", "\"keys/tom.secret\"")),
            "wrong",
            "toml:",
            "it is a secret key",
        ),
        (
            "another's certificate",
            Box::new(swap("\"keys/tom.asc\"", "\"keys/weak.asc\"")),
            "wrong",
            "toml:",
            "certificate of `tom` is that of `mia`",
        ),
        (
            "a certificate without the address",
            Box::new(swap("address = \"tom@example.org\"", "address = \"tom@example.net\"")),
            "warn",
            "toml:",
            "is for tom@example.org, and their address is tom@example.net",
        ),
        (
            "the same key twice",
            Box::new(swap("\"keys/tom.asc\"", "\"keys/mia.asc\"")),
            "wrong",
            "toml:",
            "have the same key",
        ),
        (
            "no certificate",
            Box::new(gone("keys/tom.asc")),
            "wrong",
            "toml:",
            "tom.asc is not there",
        ),
        (
            "nonsense as a certificate",
            Box::new(text("keys/tom.asc", "hello")),
            "wrong",
            "toml:",
            "tom.asc",
        ),
        (
            "a role that there is not",
            Box::new(swap(
                "roles = [\"security_team\", \"release\"]",
                "roles = [\"security_tem\"]",
            )),
            "wrong",
            "toml:",
            "has the role `security_tem`",
        ),
        (
            "nobody is the operator",
            Box::new(swap("\"release\", \"operator\"", "\"release\"")),
            "warn",
            "toml:",
            "nobody has the role `operator`",
        ),
        (
            "one maintainer",
            Box::new(|folder: &Path| {
                change(folder, |text| text[..text.rfind("\n[[person]]").unwrap()].to_owned())
            }),
            "warn",
            "toml:",
            "fewer than two people",
        ),
        (
            "STARTTLS where TLS is",
            Box::new(swap(
                "tls = \"implicit\"                     # or",
                "tls = \"starttls\"  # or",
            )),
            "wrong",
            "toml:",
            "a server at port 993 expects `implicit`",
        ),
        (
            "TLS where STARTTLS is",
            Box::new(swap(
                "tls = \"starttls\"                     # or",
                "tls = \"implicit\"  # or",
            )),
            "wrong",
            "toml:",
            "a server at port 587 expects `starttls`",
        ),
        (
            "no file of authorities",
            Box::new(swap(
                "# ca_file = \"ca.pem\"                 # trust",
                "ca_file = \"ca.pem\"  # trust",
            )),
            "wrong",
            "toml:",
            "ca.pem is not there",
        ),
        (
            "a second of nothing",
            Box::new(swap("tick_s = 2", "tick_s = 0")),
            "wrong",
            "toml:",
            "`tick_s` is 0",
        ),
        ("no store", Box::new(gone("embargod.db")), "wrong", "embargod.db", "there is no database"),
        (
            "no key of the store",
            Box::new(gone("embargod.db.key")),
            "wrong",
            "embargod.db",
            "embargod.db.key is not there",
        ),
        (
            "a playbook in error",
            Box::new(also(
                swap("# [files]", "[files]\nplaybooks = \"books\""),
                text("books/own.toml", "id = 3\n"),
            )),
            "wrong",
            "own.toml:",
            "",
        ),
        (
            "no folder of playbooks",
            Box::new(swap("# [files]", "[files]\nplaybooks = \"books\"")),
            "wrong",
            "books",
            "is not there",
        ),
        (
            "a word that no text has",
            Box::new(also(
                swap("# [files]", "[files]\ntemplates = \"texts\""),
                text("texts/answer.txt", "Subject: x\n\n{{ ref }} {{ fingerprint }}\n{{ reff }}\n"),
            )),
            "wrong",
            "answer.txt:4",
            "reff",
        ),
        (
            "a text of no mail",
            Box::new(also(
                swap("# [files]", "[files]\ntemplates = \"texts\""),
                text("texts/anwser.txt", "Subject: x\n\ny\n"),
            )),
            "wrong",
            "anwser.txt:",
            "no mail of this name",
        ),
        (
            "an acknowledgement of nonsense",
            Box::new(also(
                swap("# [files]", "[files]\ntemplates = \"texts\""),
                text("texts/acknowledgement.txt", "Subject: x\n\n{{ ref }} {{ answer_by }}\n"),
            )),
            "warn",
            "acknowledgement.txt:",
            "{{ fingerprint }}",
        ),
    ]
}

#[test]
fn each_broken_set_up_is_told_with_its_place_and_the_next_step() {
    let sound = tempfile::tempdir().unwrap();
    desk(sound.path());
    assert_eq!(found(sound.path()), Vec::<[String; 4]>::new(), "in order");
    let mut missing = Vec::new();
    for (what, how, level, place, words) in table() {
        let folder = tempfile::tempdir().unwrap();
        let copied =
            Command::new("cp").arg("-a").arg(sound.path().join(".")).arg(folder.path()).status();
        assert!(copied.unwrap().success());
        how(folder.path());
        let all = found(folder.path());
        let is_it = |[l, p, w, n]: &&[String; 4]| {
            l == level && p.contains(place) && w.contains(words) && !n.is_empty()
        };
        if !all.iter().any(|one| is_it(&one)) || all.len() > 2 {
            missing.push(format!("{what}: {all:#?}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// GnuPG, in a home of its own.
fn gpg(home: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut gpg = Command::new("gpg");
    gpg.env("GNUPGHOME", home).args([
        "--batch",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "hush",
    ]);
    let output = gpg.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The recipe of `keys/README.md`; and what does not fit leaves nothing behind that stops the second try.
#[test]
fn a_key_of_gnupg_is_taken_and_one_that_does_not_fit_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("gpg");
    std::fs::create_dir(&home).unwrap();
    mode(&home, 0o700);
    let recipe = std::fs::read_to_string("keys/README.md").unwrap();
    let kind = recipe.split("<security@example.org>\" ").nth(1).unwrap();
    let kind: Vec<&str> = kind.split('`').next().unwrap().split(' ').collect();
    let write = |name: &str, user: &str, kind: &[&str]| {
        gpg(&home, &[&["--quick-gen-key", user], kind].concat());
        let path = place.path().join(name);
        std::fs::write(&path, gpg(&home, &["--export-secret-keys", "--armor", user])).unwrap();
        path.display().to_string()
    };
    let signs = write("signs.asc", "Sign <sign@example.org>", &["ed25519", "default", "3y"]);
    let other = write("other.asc", "Other <other@example.org>", &kind);
    let fits = write("fits.asc", "Our Team <security@example.org>", &kind);
    let passphrase = place.path().join("hush");
    std::fs::write(&passphrase, "hush\n").unwrap();
    let passphrase = passphrase.display().to_string();
    let desk = place.path().join("desk");
    let folder = desk.display().to_string();
    let init = |key: &str, address: &str| {
        let named = ["--address", address, "--name", "Example", "--passphrase-file", &passphrase];
        embargod(&[&["init", &folder, "--key", key], &named[..]].concat())
    };
    for (key, address, words) in [
        (&signs, "sign@example.org", "gpg --quick-add-key"),
        (&other, "security@example.org", "it is not for security@example.org"),
    ] {
        let (code, said) = init(key, address);
        assert!(code == Some(2) && said.contains(words) && said.contains("next:"), "{said}");
        assert!(!desk.exists(), "{said}");
    }
    let (code, said) = init(&fits, "security@example.org");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = init(&fits, "security@example.org");
    assert!(code == Some(2) && said.contains("exists already; nothing was written"), "{said}");
}
