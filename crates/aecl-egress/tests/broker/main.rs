//! The egress broker under attack, on loopback. What is refused is first shown to pass when it is listed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod limits;
mod world;

use serde_json::json;
use world::{World, code, hello, limits, plain, target, tls};

fn get(port: u16, host: &str, path: &str) -> String {
    format!("GET http://{host}:{port}{path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

#[tokio::test]
async fn what_is_listed_passes_and_is_told_before_and_after() {
    let (web, secure) = (target(OK), target(b"tls answer"));
    let list = json!([plain("web.test", web.port, &["GET"]), tls("secure.test", secure.port)]);
    let world = World::new(list, limits(), &["web.test", "secure.test"]);
    let answer = world.say(get(web.port, "web.test", "/x")).await;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(web.got()[0].starts_with("GET /x HTTP/1.1\r\nhost: web.test:"), "{:?}", web.got());
    let ended = world.ended(1).await;
    assert_eq!((code(&ended), ended.number, ended.method.as_deref()), ("allowed", 1, Some("GET")));
    assert_eq!(ended.in_bytes, OK.len() as u64);
    assert_eq!(ended.out_bytes, web.got()[0].len() as u64);
    assert_eq!(ended.address.unwrap().to_string(), format!("127.0.0.1:{}", web.port));

    let sent = [hello("secure.test"), b"more".to_vec()].concat();
    let (status, rest) = world.tunnel(&format!("secure.test:{}", secure.port), sent.clone()).await;
    assert_eq!((status.as_str(), rest.as_str()), ("HTTP/1.1 200 Connection established", "tls answer"));
    assert_eq!(secure.got.lock().unwrap()[0], sent, "not a byte is changed");
    assert_eq!(code(&world.ended(2).await), "allowed");
    let openings = world.record.openings.lock().unwrap();
    let told: Vec<String> =
        openings.iter().map(|it| format!("{} {} {}", it.number, it.method, it.to)).collect();
    assert_eq!(
        told,
        [format!("1 GET web.test:{}", web.port), format!("2 CONNECT secure.test:{}", secure.port)]
    );
}

#[tokio::test]
async fn case_58_an_empty_list_reaches_nothing() {
    let web = target(OK);
    let world = World::new(json!([]), limits(), &["web.test"]);
    assert!(world.say(get(web.port, "web.test", "/")).await.starts_with("HTTP/1.1 403 "));
    assert!(world.tunnel(&format!("web.test:{}", web.port), hello("web.test")).await.0.contains("403"));
    assert_eq!((web.connections(), world.asked().len()), (0, 0), "nothing is dialled or looked up");
}

#[tokio::test]
async fn case_50_and_59_an_odd_name_is_refused_without_a_look_up() {
    let web = target(OK);
    let port = web.port;
    let world = World::new(json!([tls("allowed.test", port)]), limits(), &["allowed.test"]);
    let (status, rest) = world.tunnel(&format!("ALLOWED.test:{port}"), hello("allowed.test")).await;
    assert_eq!(
        (status.as_str(), rest.as_bytes()),
        ("HTTP/1.1 200 Connection established", OK),
        "upper case is the same name"
    );
    for (to, status) in [
        ("evil\0.allowed.test", 400),
        ("allowed.test.evil.test", 403),
        ("allowed.test@evil.test", 403),
        ("evil.test%2eallowed.test", 403),
        ("allowed.test%00", 403),
        ("allowed.test.", 403),
        (".allowed.test", 403),
        ("аllowed.test", 400),
        ("xn--llowed-1kf.test", 403),
        ("hunter2.evil.test", 403),
        ("allowed.test/", 403),
        ("allowed.test\t", 403),
    ] {
        let said = world.say(format!("CONNECT {to}:{port} HTTP/1.1\r\n\r\n")).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{to:?}: {said}");
    }
    assert_eq!(world.asked(), ["allowed.test"], "nothing leaves by a look-up");
    assert_eq!(web.connections(), 1);
}

#[tokio::test]
async fn case_51_and_60_an_address_is_refused_in_every_notation() {
    let web = target(OK);
    let world = World::new(json!([tls("allowed.test", web.port)]), limits(), &["allowed.test"]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0",
        "１２７.0.0.1",
    ] {
        for said in [
            world.say(format!("CONNECT {host}:{} HTTP/1.1\r\n\r\n", web.port)).await,
            world.say(get(web.port, host, "/")).await,
        ] {
            assert!(said.starts_with("HTTP/1.1 403 ") || said.starts_with("HTTP/1.1 400 "), "{host}: {said}");
        }
    }
    assert_eq!((web.connections(), world.asked().len()), (0, 0));
}

#[tokio::test]
async fn case_51_and_61_a_name_with_one_bad_address_is_not_dialled() {
    let web = target(OK);
    let list = json!([
        {"host": "mixed.test", "port": web.port}, tls("meta.test", web.port), {"host": "own.test", "port": web.port},
    ]);
    let world = World::new(list, limits(), &[]);
    world.resolve("mixed.test", &[&["1.1.1.1", "10.0.0.1"]]);
    let (status, rest) = world.tunnel(&format!("mixed.test:{}", web.port), hello("mixed.test")).await;
    assert!(
        status.contains("403") && rest.contains("`mixed.test` is at `10.0.0.1` (private network)"),
        "{status} {rest}"
    );
    world.resolve("own.test", &[&["127.0.0.1"]]);
    assert!(
        world.tunnel(&format!("own.test:{}", web.port), hello("own.test")).await.0.contains("403"),
        "loopback is not open by itself"
    );
    for bad in [
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "fe80::1",
        "ff02::1",
        "224.0.0.1",
        "240.0.0.1",
        "::ffff:169.254.169.254",
        "::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:1::1",
    ] {
        world.resolve("meta.test", &[&[bad]]);
        let (status, _) = world.tunnel(&format!("meta.test:{}", web.port), hello("meta.test")).await;
        assert!(status.contains("403"), "{bad}: {status}");
    }
    assert_eq!(web.connections(), 0);
    assert!(world.record.openings.lock().unwrap().is_empty());
}

#[tokio::test]
async fn case_62_a_name_is_looked_up_once_and_what_was_judged_is_dialled() {
    let web = target(OK);
    let world = World::new(json!([plain("turns.test", web.port, &["GET"])]), limits(), &[]);
    // The second answer would be another place.
    world.resolve("turns.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    assert!(world.say(get(web.port, "turns.test", "/")).await.ends_with("hello"));
    assert_eq!(world.asked().len(), 1);
    let again = world.say(get(web.port, "turns.test", "/")).await;
    assert!(again.starts_with("HTTP/1.1 403 ") && again.contains("cloud metadata"), "{again}");
    assert_eq!((world.asked().len(), web.connections()), (2, 1), "each connection looks up and judges");
}

#[tokio::test]
async fn case_63_a_tunnel_carries_tls_for_the_host_that_was_asked_for_or_nothing() {
    let web = target(b"tls answer");
    let world = World::new(json!([tls("allowed.test", web.port)]), limits(), &["allowed.test"]);
    let to = format!("allowed.test:{}", web.port);
    assert_eq!(world.tunnel(&to, hello("ALLOWED.test")).await.1, "tls answer");
    let mut count = 1;
    for (inside, why) in [
        (hello("evil.test"), "another host"),
        (hello("sub.allowed.test"), "another host"),
        (hello("allowed.test.evil.test"), "another host"),
        (hello("127.0.0.1"), "another host"),
        (hello(""), "without a name"),
        (b"GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n".to_vec(), "no TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "no TLS"),
        (b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n".to_vec(), "no TLS"),
        (hello("allowed.test")[..20].to_vec(), "ends before"),
        (Vec::new(), "ends before"),
    ] {
        let (status, rest) = world.tunnel(&to, inside).await;
        assert!(status.contains("200") && rest.is_empty(), "{why}: {status} {rest}");
        count += 1;
        let ended = world.ended(count).await;
        assert_eq!((code(&ended), ended.out_bytes), ("egress_mismatch", 0), "{why}: {ended:?}");
        assert!(format!("{:?}", ended.verdict).contains(why), "{why}: {ended:?}");
    }
    assert_eq!(web.got().iter().filter(|got| !got.is_empty()).count(), 1, "nothing else reached the target");
    let other = world.say(format!("CONNECT {to} HTTP/1.1\r\nHost: evil.test\r\n\r\n")).await;
    assert!(other.starts_with("HTTP/1.1 400 "), "{other}");
}

#[tokio::test]
async fn case_64_plain_http_goes_through_the_same_list() {
    let web = target(OK);
    let list = json!([plain("web.test", web.port, &["GET"]), tls("secure.test", web.port)]);
    let world = World::new(list, limits(), &["web.test", "secure.test", "other.test"]);
    assert!(world.say(get(web.port, "web.test", "/")).await.ends_with("hello"));
    let said = async |text: String| world.say(text).await.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(said(get(web.port, "other.test", "/")).await, "403");
    assert_eq!(said(get(web.port, "web.test", "/").replace("GET", "DELETE")).await, "403");
    assert_eq!(said(get(web.port + 1, "web.test", "/")).await, "403");
    assert_eq!(
        said(get(web.port, "secure.test", "/")).await,
        "403",
        "what is listed for TLS is not for plain HTTP"
    );
    assert_eq!(
        said(format!("CONNECT web.test:{} HTTP/1.1\r\n\r\n", web.port)).await,
        "403",
        "and the other way round"
    );
    assert_eq!(said(get(web.port, "web.test", "/").replace("http://", "https://")).await, "400");
    assert_eq!(said(format!("GET / HTTP/1.1\r\nHost: web.test:{}\r\n\r\n", web.port)).await, "400");
    assert_eq!(
        said(get(web.port, "web.test", "/").replace("Host: web", "Host: other")).await,
        "400",
        "Host is the target"
    );
    assert_eq!(web.connections(), 1);
}

#[tokio::test]
async fn case_65_what_two_readers_could_take_differently_is_refused() {
    let web = target(OK);
    let world = World::new(json!([plain("web.test", web.port, &["GET", "POST"])]), limits(), &["web.test"]);
    let with =
        |more: &str| get(web.port, "web.test", "/").replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    let post = with("Content-Length: 4").replace("GET", "POST");
    assert!(world.say(format!("{post}body")).await.ends_with("hello"));
    assert!(web.got()[0].ends_with("\r\n\r\nbody"), "{:?}", web.got());
    for (request, status) in [
        (with("Host: evil.test"), 400),
        (with("Content-Length: 4\r\nTransfer-Encoding: chunked"), 400),
        (with("Content-Length: 4\r\nContent-Length: 5"), 400),
        (with("Transfer-Encoding: chunked"), 411),
        (with("X: 1\nHost: evil.test"), 400),
        (with("X: 1\r\n Host: evil.test"), 400),
        (with("X : 1"), 400),
        (with("X: a\u{b}b"), 400),
        (format!("{post}body{}", get(web.port, "web.test", "/two")), 400),
        (get(web.port, "web.test", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /"), 400),
    ] {
        let said = world.say(request.clone()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {said}");
    }
    assert_eq!(web.connections(), 1, "nothing of it was dialled");
}

#[tokio::test]
async fn case_65_a_second_request_that_comes_later_is_cut_off() {
    let web = target(OK);
    let world = World::new(json!([plain("web.test", web.port, &["GET"])]), limits(), &["web.test"]);
    let (proxy, first) = (world.proxy, get(web.port, "web.test", "/"));
    let said = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(proxy).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(stream.write_all(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"));
        let mut said = String::new();
        drop(stream.read_to_string(&mut said));
        said
    });
    assert!(!said.await.unwrap().contains("hello"));
    assert_eq!(code(&world.ended(1).await), "egress_malformed");
    assert!(!web.got()[0].contains("evil"), "{:?}", web.got());
}

#[tokio::test]
async fn case_66_a_redirect_to_metadata_leads_to_another_request_that_is_refused() {
    let moved = target(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let world = World::new(json!([plain("web.test", moved.port, &["GET"])]), limits(), &["web.test"]);
    let proxy = reqwest::Proxy::all(format!("http://{}", world.proxy)).unwrap();
    let client = reqwest::Client::builder().proxy(proxy).build().unwrap();
    let response = client.get(format!("http://web.test:{}/", moved.port)).send().await.unwrap();
    assert_eq!(response.status(), 403, "the client followed, and was refused");
    assert_eq!(moved.connections(), 1);
    // Two connections end, in either order.
    world.ended(2).await;
    let mut codes: Vec<_> = world.record.ended.lock().unwrap().iter().map(code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["allowed", "egress_denied"]);
}

#[tokio::test]
async fn case_67_a_relayed_request_gets_the_same_decision() {
    let web = target(OK);
    let world =
        World::new(json!([plain("web.test", web.port, &["GET"])]), limits(), &["web.test", "evil.test"]);
    // A relay inside the cage passes on what others ask, byte by byte.
    let relay = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, proxy) = (relay.local_addr().unwrap(), world.proxy);
    std::thread::spawn(move || {
        for stream in relay.incoming().flatten() {
            let out = std::net::TcpStream::connect(proxy).unwrap();
            let (mut a, mut b) = (stream.try_clone().unwrap(), out.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            let (mut a, mut b) = (stream, out);
            std::thread::spawn(move || {
                drop(std::io::copy(&mut b, &mut a));
                drop(a.shutdown(std::net::Shutdown::Both));
            });
        }
    });
    let port = web.port;
    let ask = async |host: &'static str| {
        let request = get(port, host, "/");
        tokio::task::spawn_blocking(move || world::exchange(address, &[request.as_bytes()])).await.unwrap()
    };
    assert!(ask("web.test").await.ends_with("hello"));
    assert!(ask("evil.test").await.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn case_68_an_allowed_host_is_allowed_at_its_port_only() {
    let web = target(b"tls answer");
    let world = World::new(json!([tls("allowed.test", web.port)]), limits(), &["allowed.test"]);
    assert_eq!(
        world.tunnel(&format!("allowed.test:{}", web.port), hello("allowed.test")).await.1,
        "tls answer"
    );
    for port in [22, 25, 80, 443, 3128] {
        assert!(
            world.tunnel(&format!("allowed.test:{port}"), hello("allowed.test")).await.0.contains("403"),
            "{port}"
        );
    }
    assert_eq!((web.connections(), world.asked().len()), (1, 1));
}

#[tokio::test]
async fn case_70_when_the_broker_ends_so_does_every_way_out() {
    let web = target(b"tls answer");
    let world = World::new(json!([tls("allowed.test", web.port)]), limits(), &["allowed.test"]);
    let mut open = std::net::TcpStream::connect(world.proxy).unwrap();
    {
        use std::io::Write as _;
        let to = format!("allowed.test:{}", web.port);
        open.write_all(format!("CONNECT {to} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        open.write_all(&hello("allowed.test")).unwrap();
    }
    while world.record.openings.lock().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    world.stop.cancel();
    world.serving.await.unwrap().unwrap();
    assert!(std::net::TcpStream::connect(world.proxy).is_err(), "the listener is closed");
    let ended = world.record.ended.lock().unwrap();
    assert_eq!((ended.len(), code(&ended[0])), (1, "egress_stopped"), "what was open was ended and told");
}

#[tokio::test]
async fn case_72_a_decision_belongs_to_the_listener_that_accepted_the_connection() {
    let web = target(OK);
    let a = World::new(json!([plain("a.test", web.port, &["GET"])]), limits(), &["a.test", "b.test"]);
    let b = World::new(json!([plain("b.test", web.port, &["GET"])]), limits(), &["a.test", "b.test"]);
    assert!(a.say(get(web.port, "a.test", "/")).await.ends_with("hello"));
    assert!(b.say(get(web.port, "b.test", "/")).await.ends_with("hello"));
    assert!(a.say(get(web.port, "b.test", "/")).await.starts_with("HTTP/1.1 403 "));
    assert!(b.say(get(web.port, "a.test", "/")).await.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_leave() {
    let web = target(OK);
    let list = json!([plain("web.test", web.port, &["GET"]), tls("secure.test", web.port)]);
    let world = World::new(list, limits(), &["web.test", "secure.test"]);
    *world.record.full.lock().unwrap() = true;
    assert!(world.say(get(web.port, "web.test", "/secret")).await.starts_with("HTTP/1.1 503 "));
    let (_, rest) = world.tunnel(&format!("secure.test:{}", web.port), hello("secure.test")).await;
    assert_eq!(rest, "");
    let ended = world.ended(2).await;
    assert_eq!((code(&ended), ended.out_bytes), ("egress_unrecorded", 0));
    assert!(web.got().iter().all(String::is_empty), "{:?}", web.got());
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_gateway_error() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world =
        World::new(json!([tls("gone.test", gone), tls("unknown.test", gone)]), limits(), &["gone.test"]);
    assert!(world.tunnel(&format!("gone.test:{gone}"), hello("gone.test")).await.0.contains("502"));
    assert!(world.tunnel(&format!("unknown.test:{gone}"), hello("unknown.test")).await.0.contains("502"));
    assert_eq!(code(&world.ended(2).await), "egress_unreachable");
}

/// A real TLS client and a real TLS server, with the broker between them.
#[tokio::test]
async fn curl_speaks_tls_through_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=secure.test", "-addext", "subjectAltName=DNS:secure.test"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = tokio::process::Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-key", &path("key.pem"), "-cert", &path("cert.pem")])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let long = aecl_egress::broker::Limits { head_ms: 10_000, ..limits() };
    let world = World::new(json!([tls("secure.test", port)]), long, &["secure.test", "other.test"]);
    let curl = async |host: &str| {
        tokio::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--proxy",
                &format!("http://{}", world.proxy),
            ])
            .args(["--cacert", &path("cert.pem"), &format!("https://{host}:{port}/")])
            .output()
            .await
            .unwrap()
    };
    let ran = curl("secure.test").await;
    assert!(ran.status.success() && !ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(code(&world.ended(1).await), "allowed");
    let ran = curl("other.test").await;
    assert!(String::from_utf8_lossy(&ran.stderr).contains("403"), "{}", String::from_utf8_lossy(&ran.stderr));
}
