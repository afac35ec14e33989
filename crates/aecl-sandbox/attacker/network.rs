//! Attacks over the network and over what processes share.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::*;

pub const ALL: &[Attack] = &[
    (49, "connect to a port of the host's loopback", loopback, &[]),
    (50, "send a datagram to a name server", || udp("192.0.2.53:53"), &[]),
    (51, "reach 169.254.169.254", || udp("169.254.169.254:80"), &[]),
    (51, "reach 100.100.100.200", || udp("100.100.100.200:80"), &[]),
    (51, "reach 168.63.129.16", || udp("168.63.129.16:80"), &[]),
    (51, "reach fd00:ec2::254", || udp("[fd00:ec2::254]:80"), &[]),
    (52, "socket: netlink, events of devices", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 15), &[]),
    (52, "socket: netlink, audit", || socket(libc::AF_NETLINK, libc::SOCK_RAW, 9), NONE_HERE),
    (52, "socket: packet", || socket(libc::AF_PACKET, libc::SOCK_RAW, 0), NONE_HERE),
    (52, "socket: raw", || socket(libc::AF_INET, libc::SOCK_RAW, 1), &[]),
    (52, "socket: vsock", || socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0), &[]),
    (52, "socket: crypto (ALG)", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), &[]),
    (52, "socket: XDP", || socket(libc::AF_XDP, libc::SOCK_RAW, 0), &[]),
    (52, "socket: key", || socket(libc::AF_KEY, libc::SOCK_RAW, 2), &[]),
    (52, "socket: bluetooth", || socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1), &[]),
    (52, "socket: TIPC", || socket(libc::AF_TIPC, libc::SOCK_STREAM, 0), &[]),
    (52, "socket: RDS", || socket(libc::AF_RDS, libc::SOCK_SEQPACKET, 0), &[]),
    (52, "socket: SMC", || socket(43, libc::SOCK_STREAM, 0), &[]),
    (52, "socket: QRTR", || socket(42, libc::SOCK_DGRAM, 0), &[]),
    (52, "socket: CAN", || socket(libc::AF_CAN, libc::SOCK_RAW, 1), &[]),
    (53, "connect to an abstract socket of the host", abstract_socket, &[]),
    (
        54,
        "connect to a socket file of the host",
        || came_io(UnixStream::connect(wanted("ATTACK_SOCKET"))),
        &[],
    ),
    (
        55,
        "attach shared memory of the host",
        || {
            let key = wanted("ATTACK_SHM").parse().unwrap_or(0);
            came(unsafe { libc::shmget(key, 0, 0) }.into())
        },
        &[],
    ),
    (
        55,
        "open a message queue of the host",
        || {
            let name = std::ffi::CString::new(wanted("ATTACK_QUEUE")).unwrap();
            came(unsafe { libc::mq_open(name.as_ptr(), libc::O_RDONLY) }.into())
        },
        &[],
    ),
    (56, "learn the name of the host", hostname, &[]),
];

/// The kernel has the family and this machine has no use for it.
const NONE_HERE: &[i32] = &[libc::EPROTONOSUPPORT];

fn loopback() -> Came {
    let port = wanted("ATTACK_PORT").parse().unwrap_or(1);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    came_io(TcpStream::connect_timeout(&address, Duration::from_secs(2)))
}

/// A datagram needs a way, not somebody who answers.
fn udp(to: &str) -> Came {
    let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    came_io(UdpSocket::bind(any).and_then(|socket| socket.connect(to)))
}

fn socket(family: i32, kind: i32, protocol: i32) -> Came {
    came(unsafe { libc::socket(family, kind, protocol) }.into())
}

fn abstract_socket() -> Came {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(wanted("ATTACK_ABSTRACT"));
    came_io(address.and_then(|address| UnixStream::connect_addr(&address)))
}

fn hostname() -> Came {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim() == wanted("ATTACK_HOSTNAME") {
        Came::Works
    } else {
        Came::Says(format!("it is `{}`", name.trim()))
    }
}
