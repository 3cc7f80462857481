//! What is refused: another fleet, sessions of cells that are not here, nonsense on streams.

use crate::double::{Double, an_allocation, now_ms, soon, welcome};
use muster_agent::link::wire::FrameReader;
use muster_protocol::{
    Kind,
    frame::encode,
    session::{SessionAttach, SessionError},
    tunnel::{TunnelOpen, TunnelRefused},
};

#[tokio::test]
async fn another_fleet_is_not_followed() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let (connection, mut send, ..) = double.hello().await;
    send.write_chunk(encode(Kind::Welcome, &welcome("f2"))).await.unwrap();
    let closed = soon("the agent closes", connection.closed()).await;
    assert!(closed.to_string().contains("another fleet"), "{closed}");
}

#[tokio::test]
async fn streams_for_what_is_not_here_are_answered_and_harm_nothing() {
    let double = Double::start();
    let _agent = double.agent(now_ms(), 3600);
    let mut link = double.link().await;
    let allocation = an_allocation().to_string();

    let (mut send, receive) = link.connection.open_bi().await.unwrap();
    let attach = SessionAttach { allocation: allocation.clone(), create: true, ..SessionAttach::default() };
    send.write_chunk(encode(Kind::SessionAttach, &attach)).await.unwrap();
    let frame = soon("an answer", FrameReader::new(receive).next()).await.unwrap().unwrap();
    assert_eq!(frame.decode::<SessionError>().unwrap().code, "cell_gone");

    let (mut send, receive) = link.connection.open_bi().await.unwrap();
    let open = TunnelOpen { allocation, target: "ssh".into(), ..TunnelOpen::default() };
    send.write_chunk(encode(Kind::TunnelOpen, &open)).await.unwrap();
    let frame = soon("an answer", FrameReader::new(receive).next()).await.unwrap().unwrap();
    assert_eq!(frame.decode::<TunnelRefused>().unwrap().code, "cell_gone");

    // A frame of 10 MB, one of no known kind, and bytes that are none at all.
    for nonsense in [&[0, 60, 0, 0, 0, 0x98, 0x96, 0x80][..], &[0xff, 0xff, 0, 0, 0, 0, 0, 0], &[1, 2, 3]] {
        let (mut send, mut receive) = link.connection.open_bi().await.unwrap();
        send.write_all(nonsense).await.unwrap();
        send.finish().unwrap();
        let _ = soon("its end", receive.read_to_end(1024)).await;
    }
    // The link stands and answers.
    link.expect(Kind::Heartbeat).await;
}
