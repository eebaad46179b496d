//! A Debian host as `docs/deploying.md` sets one up: a container that systemd boots over a copy of this
//! machine's files, with a network of its own and Caddy in front. It takes root, and a kernel that lets root
//! do so; so it is asked for by name.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::PASSWORD;
use crate::support::page::{blocks, done, page};

/// How long a machine may take for anything.
const PATIENCE: Duration = Duration::from_mins(1);

struct Host {
    container: Child,
    root: PathBuf,
    _folder: TempDir,
}

impl Host {
    fn boot() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["changes", "work", "root"] {
            fs::create_dir(at(name)).unwrap();
        }
        let layers = format!(
            "lowerdir=/,upperdir={},workdir={}",
            at("changes").display(),
            at("work").display()
        );
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "overlay", "-o", &layers]);
        done(mount.arg(at("root")));
        let container = Command::new("systemd-nspawn")
            .args(["--boot", "--private-network", "--console=pipe", "--quiet"])
            .args(["--register=no", "--keep-unit", "--machine=host"])
            .arg(format!("--directory={}", at("root").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let host = Self {
            container,
            root: at("root"),
            _folder: folder,
        };
        host.until("systemctl is-active multi-user.target");
        host
    }

    /// Its first process, once that is in a world of its own.
    fn init(&self) -> Option<String> {
        let nspawn = self.container.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        let init = children.split_whitespace().next()?.to_owned();
        let world = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        (world(&init)? != world("self")?).then_some(init)
    }

    /// Runs a script on it, as root, until something fails.
    fn shell(&self, script: &str) -> Command {
        let Some(init) = self.init() else {
            return Command::new("false");
        };
        let mut command = Command::new("nsenter");
        command.args(["--target", &init, "--all", "sh", "-euc", script]);
        command
    }

    fn run(&self, script: &str) -> String {
        done(&mut self.shell(script))
    }

    /// Runs a script that reads.
    fn feed(&self, script: &str, input: &str) -> Output {
        let mut child = self
            .shell(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }

    /// Runs it again and again until nothing fails.
    fn until(&self, script: &str) {
        let start = Instant::now();
        loop {
            let output = self.shell(script).output().unwrap();
            if output.status.success() {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{script}: {output:?}");
            sleep(Duration::from_millis(100));
        }
    }

    fn is_ready(&self) {
        self.until("curl -skf https://localhost/readyz");
    }

    /// Signs in from outside, and gives the token.
    fn login(&self, client: &str) -> String {
        let fields = ["username=root", &format!("password={PASSWORD}")];
        let [name, password] = fields.map(|field| format!("--data-urlencode '{field}'"));
        let answer = self.run(&format!(
            "curl -skf https://localhost/auth/login/ {name} {password} --data-urlencode client={client}"
        ));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["auth_token"].as_str().unwrap().to_owned()
    }

    fn me(&self, token: &str) -> String {
        self.run(&format!(
            "curl -sk -o /dev/null -w '%{{http_code}}' https://localhost/auth/me/ -H 'Authorization: Bearer {token}'"
        ))
    }

    /// What is in its folder of backups.
    fn backups(&self) -> usize {
        let listed = fs::read_dir(self.root.join("var/lib/multitoken/backups"));
        listed.unwrap().count()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let nspawn = self.container.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &nspawn]).status();
        let _ = self.container.wait();
        let _ = Command::new("umount").arg(&self.root).status();
    }
}

/// The commands under that heading, in a folder of the host that has what they are run in.
fn commands(heading: &str) -> Vec<String> {
    let all = blocks(&page("deploying.md"), heading, "sh");
    let local = |block: &String| {
        let block = block.replace("app.example.com", "localhost");
        // Of a certificate that Caddy has made itself.
        format!("cd /root/app\n{}", block.replace("curl -s ", "curl -sk "))
    };
    all.iter().map(local).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Puts the repository's files there, with this binary where a release build has its own.
fn deliver(host: &Host) {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")), "root/app");
    let to = host.root.join(to);
    fs::create_dir_all(to.join("target/release")).unwrap();
    for name in ["Rocket.toml", "static", "templates", "deploy"] {
        done(Command::new("cp").arg("-R").arg(from.join(name)).arg(&to));
    }
    let binary = to.join("target/release/multitoken");
    fs::copy(env!("CARGO_BIN_EXE_multitoken"), binary).unwrap();
}

#[test]
#[ignore = "boots a container, which takes root: cargo test host -- --ignored"]
fn a_host_is_set_up_backed_up_restored_and_upgraded_as_the_page_says() {
    let host = Host::boot();
    deliver(&host);
    let [build, set_up, create, back_up, restore] = &commands("On a Debian host")[..] else {
        panic!("other blocks");
    };
    assert!(build.contains("cargo build --release"));
    host.run(set_up);
    // As a release build would by itself.
    host.run("echo ROCKET_PROFILE=release >> /etc/multitoken/env; systemctl restart multitoken");
    host.is_ready();
    let create = create.replace("NAME --admin", "root --admin --password-stdin");
    host.feed(&create, PASSWORD);
    let token = host.login("laptop");
    assert_eq!(host.me(&token), "200");
    let found = host.run("multitoken check");
    let only = "advice    build: this is a debug build";
    assert!(found.lines().all(|line| line.starts_with(only)), "{found}");

    host.run(back_up);
    assert!(host.backups() > 0);
    host.run("systemctl is-active multitoken-backup.timer");
    // What came after the backup is not in it, and gone when it is restored; what was before is back.
    host.run("multitoken token revoke --user root --client laptop");
    let later = host.login("phone");
    host.feed("multitoken user create late --password-stdin", PASSWORD);
    let as_the_server = "cd /var/lib/multitoken; runuser -u multitoken -- sh";
    let trial = &blocks(&page("backups.md"), "Try it", "sh")[0];
    let listed = text(&host.feed(as_the_server, trial));
    assert!(
        listed.contains("root ") && !listed.contains("late "),
        "{listed}"
    );
    assert!(host.run("multitoken user list").contains("late "));
    let script = &blocks(&page("backups.md"), "Restore SQLite", "sh")[0];
    host.feed(restore, script);
    host.run("systemctl start multitoken multitoken-backup.timer");
    host.is_ready();
    assert_eq!(host.me(&token), "200");
    assert_eq!(host.me(&later), "401");
    assert!(!host.run("multitoken user list").contains("late "));

    // It comes back by itself, too.
    host.run("kill -9 $(systemctl show -p MainPID --value multitoken)");
    host.is_ready();

    let backups = host.backups();
    host.run("cd /opt/multitoken; touch -d @0 multitoken; touch static/old");
    host.run(&commands("Upgrading")[0]);
    host.is_ready();
    assert!(host.backups() > backups);
    host.run("cd /opt/multitoken; test $(stat -c %Y multitoken) -gt 0; test ! -e static/old");
    assert_eq!(host.me(&token), "200");
    let ended =
        host.run("systemctl stop multitoken; systemctl show -p Result,ExecMainStatus multitoken");
    assert_eq!(ended, "Result=success\nExecMainStatus=0\n");
    host.run("systemctl start multitoken");
    host.is_ready();

    // A shell and systemd read the one file alike, whatever a URL has in it.
    let elsewhere = "postgres://x:y@127.0.0.1:1/z?sslmode=require&application_name=a;b";
    let refused = host.shell(&format!(
        "cd /etc/multitoken; cp -a env env.kept; trap 'mv env.kept env' EXIT
         sed -i '/^DATABASE_URL/d' env; echo \"DATABASE_URL='{elsewhere}'\" >> env
         multitoken user list"
    ));
    let refused = { refused }.output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("PostgreSQL at 127.0.0.1:1/z"));
    assert!(host.run("multitoken user list").contains("root "));

    let [afterwards, limits] = &commands("Afterwards")[..] else {
        panic!("other blocks");
    };
    let mut looked_at = 0;
    for line in afterwards.lines().skip(1) {
        let (command, answer) = line.split_once('#').unwrap();
        let answer = answer.trim().split(": ").next().unwrap();
        let said = host.run(command);
        let is_so = said.contains(answer) && !said.contains(&format!("UN{answer}"));
        assert!(is_so, "{command}: {said}");
        looked_at += 1;
    }
    assert_eq!(looked_at, 4);
    host.run(limits);
    assert!(host.run("nft list ruleset").contains("ct count over 100"));
    host.is_ready();
}
