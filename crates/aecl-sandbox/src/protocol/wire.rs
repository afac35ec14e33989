//! What the supervisor and the launcher tell each other. Compiled into both.
//!
//! Numbers are eight bytes, little end first; texts and lists have their length in front. There is no
//! JSON here, because the launcher is built from the standard library alone.
#![allow(dead_code, reason = "one side writes what the other side reads")]

/// The first bytes of an order. They change whenever the form does.
const MAGIC: u64 = 0x3630_4547_4143_4541; // "AECAGE06"

/// A list that is longer is no list of ours.
const ITEMS_MAX: u64 = 65_536;

/// The order or report is not in this form.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Everything that the launcher has to know. It looks up nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`, all that the program gets.
    pub env: Vec<Vec<u8>>,
    pub cwd: Vec<u8>,
    pub user: User,
    /// Mounted in this order.
    pub mounts: Vec<Mount>,
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    pub files: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files of `/proc` under which `/dev/null` is put; what is not there is passed over.
    pub masked_files: Vec<Vec<u8>>,
    /// Directories of `/proc` under which an empty directory is put.
    pub masked_dirs: Vec<Vec<u8>>,
    /// Directories and files of views over which an empty one is put; no link leads there.
    pub covered: Vec<Vec<u8>>,
    /// Directories and files of views that are made read-only, with all that is in them; no link leads there.
    pub sealed: Vec<Vec<u8>>,
    pub scratch_bytes: u64,
    pub scratch_inodes: u64,
    pub groups: Vec<Group>,
    /// Resource number and limit.
    pub rlimits: Vec<(u64, u64)>,
    /// Seccomp programs, installed in this order; the last one wins a tie.
    pub filters: Vec<Vec<u8>>,
    pub deadline_ns: u64,
    /// The port on the cage's own loopback for which the listening socket is handed out; 0 for none.
    pub listener_port: u64,
    /// Attack the cage from inside instead of running a program.
    pub self_test: bool,
    /// The three streams are a terminal, which becomes that of the program's session.
    pub terminal: bool,
    /// Hold the program instead of caging it: it is the operator's, and does the caging itself.
    pub hold: Option<Hold>,
    pub sources: Sources,
}

/// Sources from which the launcher takes what the mounts show of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sources {
    /// It finds them where it is.
    #[default]
    Here,
    /// It finds them, hands them out, and does nothing else.
    HandedOut,
    /// It is in a container, where nothing of the host is. They come as descriptors from who found them, in the
    /// mounts' sequence, right after the order.
    Given,
}

/// How many descriptors come with one message.
pub const FDS_IN_ONE: usize = 16;

/// Where the launcher, as the first process of a container, finds the supervisor's socket.
pub const SOCKET: &str = "/.socket";

/// Order about a program that is trusted with the host but not with outliving us: it keeps its rights and
/// sees the host's files, in namespaces of its own (all but that of users, if we are root).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// A directory of the host over which an empty file system in memory is put, seen by this program alone.
    /// No such place when empty.
    pub workplace: Vec<u8>,
    pub workplace_bytes: u64,
    pub workplace_inodes: u64,
    /// What is in the workplace at first: absolute paths.
    pub files: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directories over which nothing is put; what is not there is passed over.
    pub hidden: Vec<Vec<u8>>,
    /// Directories that are made read-only, with all that is mounted in them.
    pub read_only: Vec<Vec<u8>>,
    /// Who it is on the host, uid and gid, without any capability; as we are when absent.
    pub user: Option<(u64, u64)>,
    /// Where the files of a cage are put together that it builds: the order's mounts, links, files and
    /// scratch space, our launcher as `/.init`, and [`STATUS`]. None when empty.
    pub tree: Vec<u8>,
}

/// Where the launcher, as the first process of a cage that somebody else built, finds its order, and where it
/// writes its reports: each with its length in front. It takes the name of that file away before anything
/// else runs; the supervisor has it open.
pub const INIT: &str = "/.init";
pub const ORDER: &str = "/.order";
pub const STATUS_DIR: &str = "/.status";
pub const STATUS: &str = "/.status/reports";

/// User of the program, inside and outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub inside: u64,
    pub outside_uid: u64,
    pub outside_gid: u64,
    /// Whether the launcher has the rights of root and gives the program an unmapped user.
    pub separate: bool,
}

/// One thing of the host that the program sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: Vec<u8>,
    pub at: Vec<u8>,
    pub kind: MountKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Part of the system: readable by everybody outside, too.
    System,
    /// A device node.
    Device,
    /// Somebody's directory, read-only, owned by the program's user as far as it can tell.
    View,
    /// The same, with a layer above it that takes what is written.
    Overlay,
    /// As a view, seen through a layer that is empty: what listens on a socket in there is not reached.
    Apart,
}

/// One directory of a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub dir: Vec<u8>,
    pub settings: Vec<(Vec<u8>, Vec<u8>)>,
    pub memory: MemoryEvents,
}

/// Source of a hierarchy's count of kills for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryEvents {
    Elsewhere,
    V1,
    V2,
}

/// Cause for which the launcher ended a cage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The program ended by itself.
    Ended,
    Deadline,
    /// The supervisor asked.
    Asked,
    /// The supervisor is gone.
    Abandoned,
    OutOfMemory,
}

/// Report of the launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing of the program has run. The step and the error number.
    Failed { step: Vec<u8>, errno: u64 },
    /// The program runs. With it come the descriptors of the scratch directory and of each overlay's upper
    /// layer, then that of the listener if one was ordered.
    Started { landlock_abi: u64, owners_mapped: bool },
    /// The program ended, with the kernel's wait status.
    Program { status: u64 },
    /// The cage is empty and its cgroups are gone. `oom_kills` counts what the kernel killed for memory.
    Over { cause: Cause, oom_kills: u64 },
    /// One attack of the self-test: its name and the error number it met, 0 if it succeeded.
    Attack { name: Vec<u8>, errno: u64 },
    /// With it come what some mounts show, at most [`FDS_IN_ONE`], and more in the next.
    Found { owners_mapped: bool },
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::new());
        w.number(MAGIC);
        w.list(&self.argv, |w, v| w.text(v));
        w.list(&self.env, |w, v| w.text(v));
        w.text(&self.cwd);
        w.number(self.user.inside);
        w.number(self.user.outside_uid);
        w.number(self.user.outside_gid);
        w.flag(self.user.separate);
        w.list(&self.mounts, |w, m| {
            w.text(&m.source);
            w.text(&m.at);
            w.number(m.kind as u64);
        });
        w.list(&self.links, Writer::pair);
        w.list(&self.files, Writer::pair);
        w.list(&self.masked_files, |w, v| w.text(v));
        w.list(&self.masked_dirs, |w, v| w.text(v));
        w.list(&self.covered, |w, v| w.text(v));
        w.list(&self.sealed, |w, v| w.text(v));
        w.number(self.scratch_bytes);
        w.number(self.scratch_inodes);
        w.list(&self.groups, |w, g| {
            w.text(&g.dir);
            w.list(&g.settings, Writer::pair);
            w.number(g.memory as u64);
        });
        w.list(&self.rlimits, |w, (resource, limit)| {
            w.number(*resource);
            w.number(*limit);
        });
        w.list(&self.filters, |w, v| w.text(v));
        w.number(self.deadline_ns);
        w.number(self.listener_port);
        w.flag(self.self_test);
        w.flag(self.terminal);
        w.flag(self.hold.is_some());
        if let Some(hold) = &self.hold {
            hold.write(&mut w);
        }
        w.number(self.sources as u64);
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        if r.number()? != MAGIC {
            return Err(Malformed);
        }
        let order = Self {
            argv: r.list(Reader::text)?,
            env: r.list(Reader::text)?,
            cwd: r.text()?,
            user: User {
                inside: r.number()?,
                outside_uid: r.number()?,
                outside_gid: r.number()?,
                separate: r.flag()?,
            },
            mounts: r.list(|r| Ok(Mount { source: r.text()?, at: r.text()?, kind: MountKind::read(r)? }))?,
            links: r.list(Reader::pair)?,
            files: r.list(Reader::pair)?,
            masked_files: r.list(Reader::text)?,
            masked_dirs: r.list(Reader::text)?,
            covered: r.list(Reader::text)?,
            sealed: r.list(Reader::text)?,
            scratch_bytes: r.number()?,
            scratch_inodes: r.number()?,
            groups: r.list(|r| {
                Ok(Group { dir: r.text()?, settings: r.list(Reader::pair)?, memory: MemoryEvents::read(r)? })
            })?,
            rlimits: r.list(|r| Ok((r.number()?, r.number()?)))?,
            filters: r.list(Reader::text)?,
            deadline_ns: r.number()?,
            listener_port: r.number()?,
            self_test: r.flag()?,
            terminal: r.flag()?,
            hold: if r.flag()? { Some(Hold::read(&mut r)?) } else { None },
            sources: r.one_of(&[Sources::Here, Sources::HandedOut, Sources::Given])?,
        };
        r.end()?;
        Ok(order)
    }
}

impl Hold {
    fn write(&self, w: &mut Writer) {
        w.text(&self.workplace);
        w.number(self.workplace_bytes);
        w.number(self.workplace_inodes);
        w.list(&self.files, Writer::pair);
        w.list(&self.hidden, |w, v| w.text(v));
        w.list(&self.read_only, |w, v| w.text(v));
        w.flag(self.user.is_some());
        if let Some((uid, gid)) = self.user {
            w.number(uid);
            w.number(gid);
        }
        w.text(&self.tree);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            workplace: r.text()?,
            workplace_bytes: r.number()?,
            workplace_inodes: r.number()?,
            files: r.list(Reader::pair)?,
            hidden: r.list(Reader::text)?,
            read_only: r.list(Reader::text)?,
            user: if r.flag()? { Some((r.number()?, r.number()?)) } else { None },
            tree: r.text()?,
        })
    }
}

impl Report {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::new());
        match self {
            Self::Failed { step, errno } => {
                w.number(0);
                w.text(step);
                w.number(*errno);
            }
            Self::Started { landlock_abi, owners_mapped } => {
                w.number(1);
                w.number(*landlock_abi);
                w.flag(*owners_mapped);
            }
            Self::Program { status } => {
                w.number(2);
                w.number(*status);
            }
            Self::Over { cause, oom_kills } => {
                w.number(3);
                w.number(*cause as u64);
                w.number(*oom_kills);
            }
            Self::Attack { name, errno } => {
                w.number(4);
                w.text(name);
                w.number(*errno);
            }
            Self::Found { owners_mapped } => {
                w.number(5);
                w.flag(*owners_mapped);
            }
        }
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader(bytes);
        let report = match r.number()? {
            0 => Self::Failed { step: r.text()?, errno: r.number()? },
            1 => Self::Started { landlock_abi: r.number()?, owners_mapped: r.flag()? },
            2 => Self::Program { status: r.number()? },
            3 => Self::Over { cause: Cause::read(&mut r)?, oom_kills: r.number()? },
            4 => Self::Attack { name: r.text()?, errno: r.number()? },
            5 => Self::Found { owners_mapped: r.flag()? },
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(report)
    }
}

impl Report {
    /// With its length in front, for a file.
    pub fn record(&self) -> Vec<u8> {
        let mut w = Writer(Vec::new());
        w.text(&self.encode());
        w.0
    }

    /// The reports in a file that is still being written: as many as are whole.
    pub fn records(bytes: &[u8]) -> Vec<Self> {
        let mut r = Reader(bytes);
        std::iter::from_fn(|| Self::decode(&r.text().ok()?).ok()).collect()
    }
}

impl MountKind {
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.one_of(&[Self::System, Self::Device, Self::View, Self::Overlay, Self::Apart])
    }
}

impl MemoryEvents {
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.one_of(&[Self::Elsewhere, Self::V1, Self::V2])
    }
}

impl Cause {
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.one_of(&[Self::Ended, Self::Deadline, Self::Asked, Self::Abandoned, Self::OutOfMemory])
    }
}

pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn flag(&mut self, value: bool) {
        self.number(u64::from(value));
    }

    pub fn text(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub fn pair(&mut self, (one, other): &(Vec<u8>, Vec<u8>)) {
        self.text(one);
        self.text(other);
    }

    pub fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }
}

pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        self.one_of(&[false, true])
    }

    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> Result<T, Malformed> {
        let index = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        values.get(index).copied().ok_or(Malformed)
    }

    pub fn text(&mut self) -> Result<Vec<u8>, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head.to_vec())
    }

    pub fn pair(&mut self) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        Ok((self.text()?, self.text()?))
    }

    pub fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.number()?;
        if count > ITEMS_MAX {
            return Err(Malformed);
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 0..20)
    }

    fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        vec((text(), text()), 0..4)
    }

    prop_compose! {
        fn hold()(
            (workplace, files, hidden) in (text(), pairs(), vec(text(), 0..3)),
            (workplace_bytes, workplace_inodes) in any::<(u64, u64)>(),
            (read_only, user, tree) in (vec(text(), 0..3), any::<Option<(u64, u64)>>(), text()),
        ) -> Hold {
            Hold { workplace, workplace_bytes, workplace_inodes, files, hidden, read_only, user, tree }
        }
    }

    prop_compose! {
        fn order()(
            (argv, env, cwd) in (vec(text(), 0..4), vec(text(), 0..4), text()),
            (inside, outside, separate) in (any::<u64>(), any::<u64>(), any::<bool>()),
            mounts in vec((text(), text(), 0..5_usize), 0..4),
            (links, files, masked) in (pairs(), pairs(), vec(text(), 0..3)),
            groups in vec((text(), pairs(), 0..3_usize), 0..3),
            (rlimits, filters) in (vec((any::<u64>(), any::<u64>()), 0..3), vec(text(), 0..3)),
            numbers in any::<[u64; 4]>(),
            hold in proptest::option::of(hold()),
            sources in prop_oneof![Just(Sources::Here), Just(Sources::HandedOut), Just(Sources::Given)],
        ) -> Order {
            let kinds = [
                MountKind::System, MountKind::Device, MountKind::View, MountKind::Overlay, MountKind::Apart,
            ];
            let events = [MemoryEvents::Elsewhere, MemoryEvents::V1, MemoryEvents::V2];
            let mount = |(source, at, kind)| Mount { source, at, kind: kinds[kind] };
            let group = |(dir, settings, memory)| Group { dir, settings, memory: events[memory] };
            let [scratch_bytes, scratch_inodes, deadline_ns, listener_port] = numbers;
            Order {
                argv, env, cwd, links, files, rlimits, filters, scratch_bytes, scratch_inodes, deadline_ns, listener_port,
                user: User { inside, outside_uid: outside, outside_gid: outside, separate },
                mounts: mounts.into_iter().map(mount).collect(),
                masked_files: masked.clone(),
                covered: masked.clone(),
                sealed: masked.clone(),
                masked_dirs: masked,
                groups: groups.into_iter().map(group).collect(),
                self_test: separate,
                terminal: !separate,
                hold,
                sources,
            }
        }
    }

    proptest! {
        #[test]
        fn an_order_arrives_as_it_was_given(order in order()) {
            prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
        }

        /// Whatever arrives: an answer, in bounded time and memory, and only one form for one order.
        #[test]
        fn a_changed_order_is_refused_or_means_what_it_says(
            order in order(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = order.encode();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if let Ok(order) = Order::decode(&bytes) {
                prop_assert_eq!(order.encode(), bytes.clone());
            }
            bytes.truncate(cut.index(bytes.len()));
            prop_assert_eq!(Order::decode(&bytes), Err(Malformed));
        }

        #[test]
        fn as_many_reports_are_read_as_are_whole(status in any::<u64>(), cut in any::<prop::sample::Index>()) {
            let all = [Report::Started { landlock_abi: 1, owners_mapped: true }, Report::Program { status }];
            let mut bytes: Vec<u8> = all.iter().flat_map(Report::record).collect();
            prop_assert_eq!(Report::records(&bytes), all.clone());
            bytes.truncate(cut.index(bytes.len()));
            let whole = usize::from(bytes.len() >= all[0].record().len());
            prop_assert_eq!(Report::records(&bytes), &all[..whole]);
        }

        #[test]
        fn anything_may_come_as_a_report(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(report) = Report::decode(&bytes) {
                prop_assert_eq!(report.encode(), bytes);
            }
        }
    }
}
