//! Machines by QEMU: everything on its command line, and one line to the agent over its own pipes. It gets no
//! monitor socket, no display, no network, and no more devices than a disk and that line.

use super::monitor::{Parts, Size, by_number, command_line};
use crate::machine::{Acceleration, Qemu};
use crate::protocol::frame;

/// The command. Its standard input and output are the line to the agent.
pub(super) fn command(qemu: &Qemu, size: Size, shows: bool) -> Vec<String> {
    let (accelerator, processor) = match qemu.acceleration {
        Acceleration::Kvm => ("kvm", "host"),
        Acceleration::Emulation => ("tcg,tb-size=64", "max"),
    };
    let append = command_line(&qemu.machine, shows, "serial", "");
    let mut command = vec![qemu.program.to_string_lossy().into_owned()];
    command.extend(["-no-user-config", "-nodefaults", "-no-reboot"].map(String::from));
    let options = [
        ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".to_owned()),
        ("-accel", accelerator.to_owned()),
        ("-machine", "pc,usb=off,vmport=off".to_owned()),
        ("-cpu", processor.to_owned()),
        ("-m", format!("{}M", size.memory_mib)),
        ("-smp", size.processors.to_string()),
        ("-display", "none".to_owned()),
        ("-vga", "none".to_owned()),
        ("-nic", "none".to_owned()),
        ("-serial", "none".to_owned()),
        ("-monitor", "none".to_owned()),
        ("-kernel", by_number(Parts::KERNEL)),
        ("-initrd", by_number(Parts::ARCHIVE)),
        ("-append", append),
        ("-chardev", "stdio,id=line,signal=off".to_owned()),
        ("-device", "virtio-serial-pci".to_owned()),
        ("-device", format!("virtserialport,chardev=line,name={}", frame::SERIAL_NAME)),
    ];
    let disks = std::iter::once(("root", Parts::ROOT)).chain(shows.then_some(("shown", Parts::SHOWN)));
    let all = disks.flat_map(|(name, number)| disk(name, number)).chain(options);
    command.extend(all.flat_map(|(name, value)| [name.to_owned(), value]));
    command
}

/// A disk that is read and never written, by the number of its file.
fn disk(name: &str, number: u32) -> [(&'static str, String); 4] {
    let file =
        format!("driver=file,node-name={name}-file,filename=/dev/fdset/{number},read-only=on,locking=off");
    [
        ("-add-fd", format!("fd={number},set={number}")),
        ("-blockdev", file),
        ("-blockdev", format!("driver=raw,node-name={name},file={name}-file,read-only=on")),
        ("-device", format!("virtio-blk-pci,drive={name}")),
    ]
}
