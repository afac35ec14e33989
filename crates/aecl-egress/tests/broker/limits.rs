//! Case 71: whoever is slow, endless or many meets a limit and hurts nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aecl_egress::broker::Limits;
use serde_json::json;

use crate::world::{World, code, hello, limits, plain, target, tls};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello";

#[tokio::test]
async fn case_71_a_head_that_does_not_end_is_ended() {
    let world = World::new(json!([]), limits(), &[]);
    let begun = Instant::now();
    let slow = world.say("GET http://a.test/ HTTP/1.1\r\nX: ").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && begun.elapsed() < Duration::from_secs(5), "{slow}");
    assert_eq!(code(&world.ended(1).await), "egress_limit");
    let long = world.say(format!("GET http://a.test/ HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(20_000))).await;
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
}

#[tokio::test]
async fn case_71_a_tunnel_in_which_nothing_moves_is_ended() {
    let web = target(OK);
    let limits = Limits { idle_ms: 100, ..limits() };
    let world = World::new(json!([tls("a.test", web.port)]), limits, &["a.test"]);
    let mut stream = TcpStream::connect(world.proxy).unwrap();
    stream.write_all(format!("CONNECT a.test:{} HTTP/1.1\r\n\r\n", web.port).as_bytes()).unwrap();
    // Nothing follows: no hello within the time for a head.
    assert_eq!(code(&world.ended(1).await), "egress_limit");
    let mut stream = TcpStream::connect(world.proxy).unwrap();
    stream.write_all(format!("CONNECT a.test:{} HTTP/1.1\r\n\r\n", web.port).as_bytes()).unwrap();
    stream.write_all(&hello("a.test")).unwrap();
    let ended = world.ended(2).await;
    assert!(format!("{:?}", ended.verdict).contains("nothing moved for 100 ms"), "{ended:?}");
}

#[tokio::test]
async fn case_71_an_upload_and_a_download_end_at_their_limit_over_all_connections() {
    const MUCH: &[u8] = &[b'x'; 200_000];
    let (sink, source) = (target(OK), target(MUCH));
    let limits = Limits { out_bytes_max: 1 << 20, in_bytes_max: 300_000, ..limits() };
    let list = json!([tls("sink.test", sink.port), plain("source.test", source.port, &["GET"])]);
    let world = World::new(list, limits, &["sink.test", "source.test"]);
    let (proxy, port) = (world.proxy, sink.port);
    let sent = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.write_all(format!("CONNECT sink.test:{port} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        stream.write_all(&hello("sink.test")).unwrap();
        let mut sent = 0;
        while sent < 1 << 30 && stream.write_all(&[0; 65_536]).is_ok() {
            sent += 65_536;
        }
        sent
    });
    assert!(sent.await.unwrap() < 64 << 20, "it was not read to its end");
    let ended = world.ended(1).await;
    assert_eq!(code(&ended), "egress_limit");
    assert!(ended.out_bytes <= 1 << 20, "{ended:?}");
    let get = format!("GET http://source.test:{0}/ HTTP/1.1\r\nHost: source.test:{0}\r\n\r\n", source.port);
    let answer = world.say(get.clone()).await;
    assert!(answer.is_empty(), "what may leave is used up by the other connection");
    assert_eq!(code(&world.ended(2).await), "egress_limit");

    let limits = Limits { out_bytes_max: 1 << 20, ..limits };
    let list = json!([plain("source.test", source.port, &["GET"])]);
    let world = World::new(list, limits, &["source.test"]);
    assert_eq!(world.say(get.clone()).await.len(), MUCH.len());
    assert!(world.say(get).await.len() <= 100_000, "both together");
    assert_eq!(code(&world.ended(2).await), "egress_limit");
}

#[tokio::test]
async fn case_71_connections_by_the_thousand_wait_and_the_listener_closes_after_the_last() {
    let web = target(OK);
    let limits = Limits { at_once: 4, connections: 60, ..limits() };
    let world = World::new(json!([plain("a.test", web.port, &["GET"])]), limits, &["a.test"]);
    // Four that say nothing hold the seats, but only until the time for a head is over.
    let idle: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(world.proxy).unwrap()).collect();
    let get = format!("GET http://a.test:{0}/ HTTP/1.1\r\nHost: a.test:{0}\r\n\r\n", web.port);
    assert!(world.say(get).await.ends_with("hello"));
    drop(idle);
    let proxy = world.proxy;
    let served = tokio::task::spawn_blocking(move || {
        let mut served = 0;
        while let Ok(mut stream) = TcpStream::connect(proxy) {
            drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
            drop(stream.write_all(b"nonsense\r\n\r\n"));
            drop(stream.read(&mut [0; 1]));
            served += 1;
            assert!(served < 1_000, "the listener stays open");
        }
        served
    });
    assert!((50..=60).contains(&served.await.unwrap()), "what came before is counted, too");
    tokio::time::timeout(Duration::from_secs(10), world.serving).await.unwrap().unwrap().unwrap();
    assert_eq!(world.record.ended.lock().unwrap().len(), 60);
}

#[tokio::test]
async fn a_connection_has_a_longest_life() {
    let web = target(OK);
    let limits = Limits { connection_ms: 200, ..limits() };
    let world = World::new(json!([tls("a.test", web.port)]), limits, &["a.test"]);
    let proxy = world.proxy;
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.write_all(format!("CONNECT a.test:{} HTTP/1.1\r\n\r\n", web.port).as_bytes()).unwrap();
        stream.write_all(&hello("a.test")).unwrap();
        // It is never idle.
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    })
    .await
    .unwrap();
    assert!(format!("{:?}", world.ended(1).await.verdict).contains("lived longer"));
}
