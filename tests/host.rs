//! A Debian host, set up by the commands of `docs/deploying.md`. It is a container that systemd boots over a copy of
//! this machine's files, with its own network and with Caddy. It needs root and a kernel that permits all this, so
//! the test runs only on request.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::doc_page::{blocks, page, stdout_of};
use crate::support::PASSWORD;

/// Longer than cron waits for the next minute.
const TIMEOUT: Duration = Duration::from_mins(2);

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
        stdout_of(mount.arg(at("root")));
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
        host.wait_until_succeeds("systemctl is-active multi-user.target");
        // The host has no network. Without lists of packages, apt accepts the installed packages.
        host.run("rm -rf /var/lib/apt/lists/*");
        host
    }

    /// The container's first process, once it has its own PID namespace.
    fn init(&self) -> Option<String> {
        let nspawn = self.container.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        let init = children.split_whitespace().next()?.to_owned();
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        (namespace(&init)? != namespace("self")?).then_some(init)
    }

    /// A command that runs a script on the host as root, with `set -e`.
    fn shell(&self, script: &str) -> Command {
        let Some(init) = self.init() else {
            return Command::new("false");
        };
        let mut command = Command::new("nsenter");
        command.args(["--target", &init, "--all", "sh", "-euc", script]);
        command
    }

    fn run(&self, script: &str) -> String {
        stdout_of(&mut self.shell(script))
    }

    /// Runs a script with `input` on stdin.
    fn run_with_input(&self, script: &str, input: &str) -> Output {
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

    /// Repeats a script until it succeeds.
    fn wait_until_succeeds(&self, script: &str) {
        let start = Instant::now();
        loop {
            let output = self.shell(script).output().unwrap();
            if output.status.success() {
                return;
            }
            assert!(start.elapsed() < TIMEOUT, "{script}: {output:?}");
            sleep(Duration::from_millis(100));
        }
    }

    fn wait_until_ready(&self) {
        self.wait_until_succeeds("curl -skf https://localhost/readyz");
    }

    /// Signs in through the proxy and returns the token.
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

    /// The number of files in the folder of backups.
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

/// The page's commands under a heading, to be run on the host where the repository is.
fn commands(heading: &str) -> Vec<String> {
    let all = blocks(&page("deploying.md"), heading, "sh");
    let local = |block: &String| {
        let block = block.replace("app.example.com", "localhost");
        // The host's certificate is signed by Caddy's own authority.
        format!("cd /root/app\n{}", block.replace("curl -s ", "curl -sk "))
    };
    all.iter().map(local).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Copies the repository's files to the host, with this binary in place of a release build.
fn copy_repository(host: &Host) {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")), "root/app");
    let to = host.root.join(to);
    fs::create_dir_all(to.join("target/release")).unwrap();
    // A release build embeds templates and assets. This one reads them from beside the binary.
    let beside = host.root.join("opt/multitoken");
    fs::create_dir_all(&beside).unwrap();
    for (name, to) in [
        ("Rocket.toml", &to),
        ("deploy", &to),
        ("static", &beside),
        ("templates", &beside),
    ] {
        stdout_of(Command::new("cp").arg("-R").arg(from.join(name)).arg(to));
    }
    let binary = to.join("target/release/multitoken");
    fs::copy(env!("CARGO_BIN_EXE_multitoken"), binary).unwrap();
}

#[test]
#[ignore = "boots a container, which takes root: cargo test host -- --ignored"]
fn a_host_is_set_up_backed_up_restored_and_upgraded_as_the_page_says() {
    let host = Host::boot();
    copy_repository(&host);
    let [build, set_up, create, back_up, restore] = &commands("On a Debian host")[..] else {
        panic!("the page has other blocks");
    };
    assert!(build.contains("cargo build --release"));
    host.run(set_up);
    // A release build has this profile by default.
    host.run("echo ROCKET_PROFILE=release >> /etc/multitoken/env; systemctl restart multitoken");
    host.wait_until_ready();
    let create = create.replace("NAME --admin", "root --admin --password-stdin");
    host.run_with_input(&create, PASSWORD);
    let token = host.login("laptop");
    assert_eq!(host.me(&token), "200");
    let found = host.run("multitoken check");
    let only = "advice    build: this is a debug build";
    assert!(found.lines().all(|line| line.starts_with(only)), "{found}");

    host.run(back_up);
    assert!(host.backups() > 0);
    host.run("systemctl is-active multitoken-backup.timer");
    // After the restore, changes made since the backup are gone, and what was revoked since is back.
    host.run("multitoken token revoke --user root --client laptop");
    let later = host.login("phone");
    host.run_with_input("multitoken user create late --password-stdin", PASSWORD);
    let as_the_server = "cd /var/lib/multitoken; runuser -u multitoken -- sh";
    let trial = &blocks(&page("backups.md"), "Test your backups", "sh")[0];
    let listed = text(&host.run_with_input(as_the_server, trial));
    assert!(
        listed.contains("root ") && !listed.contains("late "),
        "{listed}"
    );
    assert!(host.run("multitoken user list").contains("late "));
    let script = &blocks(&page("backups.md"), "Restore SQLite", "sh")[0];
    host.run_with_input(restore, script);
    host.run("systemctl start multitoken multitoken-backup.timer caddy");
    host.wait_until_ready();
    assert_eq!(host.me(&token), "200");
    assert_eq!(host.me(&later), "401");
    assert!(!host.run("multitoken user list").contains("late "));

    // systemd restarts a server that was killed.
    host.run("kill -9 $(systemctl show -p MainPID --value multitoken)");
    host.wait_until_ready();

    let backups = host.backups();
    host.run("cd /opt/multitoken; touch -d @0 multitoken");
    host.run(&commands("Upgrading")[0]);
    host.wait_until_ready();
    assert!(host.backups() > backups);
    host.run("cd /opt/multitoken; test $(stat -c %Y multitoken) -gt 0");
    assert_eq!(host.me(&token), "200");
    let ended =
        host.run("systemctl stop multitoken; systemctl show -p Result,ExecMainStatus multitoken");
    assert_eq!(ended, "Result=success\nExecMainStatus=0\n");
    host.run("systemctl start multitoken");
    host.wait_until_ready();

    // A shell and systemd parse the file alike, even if a URL has special characters.
    let elsewhere = "postgres://x:y@127.0.0.1:1/z?sslmode=require&application_name=a;b";
    let refused = host.shell(&format!(
        "cd /etc/multitoken; cp -a env env.kept; trap 'mv env.kept env' EXIT
         sed -i '/^DATABASE_URL/d' env; echo \"DATABASE_URL='{elsewhere}'\" >> env
         multitoken user list"
    ));
    let refused = { refused }.output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("PostgreSQL at 127.0.0.1:1/z"));
    assert!(host.run("multitoken user list").contains("root "));

    let [afterwards, limits] = &commands("Check the deployment")[..] else {
        panic!("the page has other blocks");
    };
    let mut looked_at = 0;
    for line in afterwards.lines().skip(1) {
        let (command, answer) = line.split_once('#').unwrap();
        let answer = answer.trim().split(": ").next().unwrap();
        let printed = host.run(command);
        let is_so = printed.contains(answer) && !printed.contains(&format!("UN{answer}"));
        assert!(is_so, "{command}: {printed}");
        looked_at += 1;
    }
    assert_eq!(looked_at, 4);
    host.run(limits);
    assert!(host.run("nft list ruleset").contains("ct count over 100"));
    host.wait_until_ready();
    move_to_postgresql(&host);
}

/// Moves the host to PostgreSQL, and backs up and restores it.
fn move_to_postgresql(host: &Host) {
    let heading = "PostgreSQL on a Debian host";
    let [create, back_up, restore] = &commands(heading)[..] else {
        panic!("the page has other blocks");
    };
    host.run(create);
    let text = page("deploying.md");
    let url = text
        .split('`')
        .find(|code| code.starts_with("DATABASE_URL='postgres://multitoken@"));
    host.run(&format!(
        "cd /etc/multitoken; sed -i '/^DATABASE_URL/d' env; echo \"{}\" >> env; systemctl restart multitoken",
        url.unwrap()
    ));
    host.wait_until_ready();
    let create_user = "multitoken user create root --admin --password-stdin";
    host.run_with_input(create_user, PASSWORD);
    let token = host.login("laptop");

    let backups = "/var/lib/multitoken/backups";
    host.run(&format!("touch -d '-31 days' {backups}/old.dump"));
    host.run(back_up);
    host.run(&format!("! test -e {backups}/old.dump"));
    assert_eq!(host.run(&format!("stat -c %a {backups}/*.dump")), "600\n");
    // Cron runs the line every minute here, instead of every night.
    let line = &blocks(&text, heading, "cron")[0];
    assert!(line.contains("30 2 * * *"));
    host.run(&format!("rm {backups}/*.dump"));
    host.run_with_input("crontab -u multitoken -", &line.replace("30 2", "* *"));
    host.wait_until_succeeds(&format!("ls {backups}/*.dump"));
    host.run("crontab -u multitoken -r");
    host.run("multitoken token revoke --user root --client laptop");
    assert_eq!(host.me(&token), "401");
    host.run(restore);
    host.run("systemctl start caddy");
    host.wait_until_ready();
    assert_eq!(host.me(&token), "200");
    let databases = host.run("runuser -u postgres -- psql -l");
    assert!(databases.contains(" before_2"), "{databases}");
}
