//! The archive from which a kernel starts: the agent, and the modules that it loads. The form is the kernel's
//! own (`cpio`, "newc"): a header of hexadecimal numbers, a name, the bytes, each filled up to four.

/// An archive that grows.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

impl Archive {
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, 2, &[]);
    }

    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, PROGRAM, 1, content);
    }

    /// The whole archive, with its last entry.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, 1, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, links: u32, content: &[u8]) {
        self.entries += 1;
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let numbers = [
            self.entries,
            mode,
            0, // user
            0, // group
            links,
            0, // time
            length(content.len()),
            0, // device, major
            0, // device, minor
            0, // what a device file stands for, major
            0, // the same, minor
            length(name.len() + 1),
            0, // no checksum in this form
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.fill_up();
        self.bytes.extend_from_slice(content);
        self.fill_up();
    }

    fn fill_up(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Another program that reads the form is asked what is in there.
    #[test]
    fn another_program_reads_it() {
        let mut archive = Archive::default();
        archive.directory("modules");
        archive.file("modules/000-a.ko", b"abcde");
        archive.file("init", b"x");
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("busybox");
        command.args(["cpio", "-idv"]).current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut cpio) = command.spawn() else {
            println!("skipped: there is no busybox; `cargo xtask test` installs it");
            return;
        };
        cpio.stdin.take().unwrap().write_all(&archive.finish()).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read(dir.path().join("modules/000-a.ko")).unwrap(), b"abcde");
        assert_eq!(std::fs::read(dir.path().join("init")).unwrap(), b"x");
    }
}
