//! The clients of `docs/api.md`, as it writes them; the browser's is tried in `browser`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::page::{blocks, done, page, shell};
use crate::support::server::{Server, on_each_url, sqlite, stderr, stdout};

/// Where the page has the server.
const THERE: &str = "http://127.0.0.1:8000";

async fn server_with_alice(url: &str) -> Server {
    let server = Server::start(url).await;
    server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    server
}

/// A question or an answer of HTTP: its first line's words, its headers, its body.
fn message(text: &str) -> (Vec<&str>, Vec<(&str, &str)>, Value) {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap().split(' ').collect();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).collect();
    (first, headers, serde_json::from_str(body).unwrap())
}

/// Sends the first block under the heading, and holds the answer against the second; but what differs
/// each time.
async fn is_answered_so(server: &Server, heading: &str, differs: &[&str]) {
    let blocks = blocks(&page("api.md"), heading, "http");
    let (line, headers, body) = message(&blocks[0]);
    assert_eq!(line[0], "POST");
    let client = reqwest::Client::new();
    let mut post = client.post(format!("{}{}", server.origin, line[1]));
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "Host") {
        post = post.header(name, value);
    }
    let answer = post.body(body.to_string()).send().await.unwrap();
    let (line, headers, mut wanted) = message(&blocks[1]);
    assert_eq!(answer.status().to_string(), line[1..].join(" "));
    for (name, value) in headers {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    let mut answer: Value = answer.json().await.unwrap();
    for name in differs {
        // Of one length they are, at least.
        let length = |value: &Value| value[name].as_str().map(str::len);
        assert_eq!(length(&answer), length(&wanted), "{name}");
        answer[name].take();
        wanted[name].take();
    }
    assert_eq!(answer, wanted);
}

#[test]
fn what_goes_over_the_wire_is_as_the_page_has_it() {
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        is_answered_so(&server, "One exchange", &["auth_token", "expires_at"]).await;
        is_answered_so(&server, "When it says no", &["request_id"]).await;
    });
}

#[test]
fn the_first_page_signs_in_and_revokes() {
    if needs::executable("curl", &[]).is_none() {
        return needs::missing("curl", "curl");
    }
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let readme = page("../README.md");
        let blocks = blocks(&readme, "Sign in", "sh");
        let session = blocks[..3].concat();
        let session = session.replace("cargo run -q --", "multitoken");
        let session = session.replace(THERE, &server.origin);
        let said = done(shell(Path::new("."), &session).env("DATABASE_URL", &url));
        assert!(said.contains("\"username\":\"alice\"") && said.contains("\"results\""));
        assert!(said.contains("1 token revoked\n"), "{said}");
        let (_, last) = said.split_once("revoked\n").unwrap();
        assert!(last.starts_with("HTTP/1.1 401 Unauthorized"), "{last}");
        let challenge = last
            .lines()
            .find_map(|line| line.strip_prefix("www-authenticate: "));
        let challenge = format!("`WWW-Authenticate: {}`", challenge.unwrap());
        assert!(readme.contains(&challenge), "{challenge}");
        let seed = blocks[3].replace("cargo run --", "multitoken");
        done(shell(Path::new("."), &seed).env("DATABASE_URL", &url));
        assert_eq!(server.try_login("demo-admin", PASSWORD).await, 200);
    });
}

#[test]
fn curl_signs_in_ends_another_client_and_signs_out() {
    for program in ["curl", "jq"] {
        if needs::executable(program, &[]).is_none() {
            return needs::missing(program, program);
        }
    }
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        let phone = server.login("alice", "phone").await;
        let folder = tempfile::tempdir().unwrap();
        let blocks = blocks(&page("api.md"), "With curl", "sh");
        let run = |number: usize| {
            let script = blocks[number].replace(THERE, &server.origin);
            let mut shell = shell(folder.path(), &script);
            done(shell.env("PASSWORD", PASSWORD).env("HOME", folder.path()))
        };
        assert!(run(0).contains("\"username\":\"alice\""));
        let file = folder.path().join(concat!(".", env!("CARGO_PKG_NAME")));
        assert_eq!(mode(&file), 0o600);
        let header = std::fs::read_to_string(&file).unwrap();
        let token = header.trim().rsplit(' ').next().unwrap();
        assert_eq!(server.me(token).await, 200);
        let listed = run(1);
        assert!(
            listed.lines().any(|line| line.starts_with("phone ")),
            "{listed}"
        );
        assert_eq!(server.me(&phone).await, 401);
        run(2);
        assert_eq!(server.me(token).await, 401);
        assert!(!file.exists());
    });
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn python_signs_in_looks_around_and_signs_out() {
    let Some(schemathesis) = needs::schemathesis() else {
        return;
    };
    // Beside it is what it is built on, requests among it.
    let python = schemathesis.with_file_name("python3");
    on_each_url(async |url| {
        let app = "{hash_memory_kib=8,hash_iterations=1,login_failures_per_account=1}";
        let server = Server::start_with(&url, &[("ROCKET_APP", app)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        server.login("alice", "phone").await;
        let script = blocks(&page("api.md"), "In Python", "python").remove(0);
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join(".netrc"),
            "machine 127.0.0.1 login alice password wrong\n",
        )
        .unwrap();
        let run = || {
            let mut command = Command::new(&python);
            command
                .args(["-c", &script.replace(THERE, &server.origin)])
                .env("HOME", home.path())
                .env("PASSWORD", PASSWORD);
            command
        };
        let said = done(&mut run());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "alice");
        assert!(lines.contains(&"phone None"), "{said}");
        assert!(lines.iter().any(|line| line.starts_with("report on ")));
        let left = server.run(&["token", "list", "--user", "alice", "--json"], "");
        let left = stdout(&left);
        assert!(
            left.contains("phone") && !left.contains("report on"),
            "{left}"
        );
        // To be told to wait for minutes is reported, and not waited for.
        server.try_login("alice", "wrong").await;
        let (start, output) = (Instant::now(), run().output().unwrap());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("429 Client Error"), "{said}");
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

const GENERATED: &str = "With a generated client";

/// What authors of clients lean on, in types: a line that is not so does not compile.
const TYPES: &str = r#"
type Schemas = components["schemas"];
export function types(login: Schemas["LoggedIn"], me: Schemas["Me"], problem: Schemas["Problem"]) {
  const kind: "Bearer" = login.token_type;
  const role: "user" | "admin" = me.role;
  const words: string[] = [kind, role, problem.type, problem.title, problem.detail, problem.request_id];
  const status: number = problem.status;
  const messages: (string[] | undefined)[] = [
    problem.non_field_errors, problem.username, problem.password, problem.client,
    problem.current_password, problem.new_password,
  ];
  // @ts-expect-error: no member of another name.
  return [words, status, messages, problem.nonsense];
}
"#;

#[test]
fn a_client_that_is_generated_in_typescript_signs_in_and_revokes_its_token() {
    let Some(npm) = needs::npm() else {
        return;
    };
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let server = server_with_alice(&sqlite(data.path())).await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        symlink(npm.join("node_modules"), file("node_modules")).unwrap();
        let page = page("api.md");
        let there = |block: &String| block.replace(THERE, &server.origin);
        let program = there(&blocks(&page, GENERATED, "ts")[0]);
        fs::write(file("session.mts"), program + TYPES).unwrap();
        let commands = there(&blocks(&page, GENERATED, "sh")[1]);
        let run = |commands: &str, password: &str| {
            let mut shell = shell(folder.path(), commands);
            // What is not installed is no reason to download it.
            shell.env("npm_config_yes", "false");
            shell.env("PASSWORD", password).output().unwrap()
        };
        let output = run(&commands, PASSWORD);
        let said = stdout(&output);
        assert!(output.status.success(), "{output:?}");
        assert!(
            said.ends_with(&format!(
                "alice user\nlaptop true\n401 {}\n",
                refusal(&server).await
            )),
            "{said}"
        );
        let (_, last) = commands.trim().rsplit_once('\n').unwrap();
        let output = run(last, "wrong");
        assert!(stderr(&output).contains(NO_CREDENTIALS), "{output:?}");
    });
}

#[test]
fn a_client_that_is_generated_in_python_signs_in_and_revokes_its_token() {
    let Some(generator) = needs::openapi_python_client() else {
        return;
    };
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let server = server_with_alice(&sqlite(data.path())).await;
        let folder = tempfile::tempdir().unwrap();
        let page = page("api.md");
        let there = |block: &String| block.replace(THERE, &server.origin);
        let program = there(&blocks(&page, GENERATED, "python")[0]);
        fs::write(folder.path().join("session.py"), program).unwrap();
        let commands = there(&blocks(&page, GENERATED, "sh")[3]);
        let run = |commands: &str, password: &str| {
            let mut shell = shell(folder.path(), commands);
            let path = std::env::var("PATH").unwrap_or_default();
            let beside = generator.parent().unwrap().display();
            shell.env("PATH", format!("{beside}:{path}"));
            shell.env("PASSWORD", password).output().unwrap()
        };
        let output = run(&commands, PASSWORD);
        let said = stdout(&output);
        assert!(output.status.success(), "{output:?}");
        assert!(
            said.ends_with(&format!(
                "alice user\nlaptop True\n401 {}\n",
                refusal(&server).await
            )),
            "{said}"
        );
        // Of every part of the document it makes something.
        let all = format!("{said}{}", stderr(&output));
        assert!(!all.contains("Warning") && !all.contains("Error"), "{all}");
        let (_, last) = commands.trim().rsplit_once('\n').unwrap();
        let output = run(last, "wrong");
        assert!(stderr(&output).contains(NO_CREDENTIALS), "{output:?}");
        // What has no operation of its own there can be loaded, too.
        let every = "import pkgutil, importlib, service; \
            [importlib.import_module(module.name) for module in pkgutil.walk_packages(service.__path__, 'service.')]";
        let output = run(&format!("python3 -c \"{every}\""), "");
        assert!(output.status.success(), "{output:?}");
    });
}

const NO_CREDENTIALS: &str = "Unable to log in with provided credentials.";

/// What is said of a token that is not valid.
async fn refusal(server: &Server) -> String {
    let get = reqwest::Client::new().get(format!("{}/auth/me/", server.origin));
    let answer = get.bearer_auth("nonsense").send().await.unwrap();
    let problem: Value = answer.json().await.unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}
