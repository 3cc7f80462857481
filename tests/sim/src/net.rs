//! The network: datagrams between addresses, with what networks do to them.

use crate::dice::Dice;
use crate::history::History;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Datagrams that wait at one address; more are lost, as in a kernel.
const BOX_MAX: usize = 4096;

/// What the way to one machine does to datagrams, either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lost, of a thousand.
    pub loss: u64,
    /// Delivered twice, of a thousand.
    pub twice: u64,
    /// Shortest and longest time on the way, ms; within them later ones overtake earlier ones.
    pub delay_ms: (u64, u64),
}

impl Weather {
    /// A data centre on a good day.
    pub const FAIR: Self = Self { loss: 2, twice: 1, delay_ms: (1, 4) };
}

#[derive(Debug, Default)]
struct Mailbox {
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    at: Instant,
    number: u64,
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    boxes: BTreeMap<SocketAddr, Mailbox>,
    flying: BinaryHeap<Reverse<Flying>>,
    sent: u64,
    weather: BTreeMap<IpAddr, Weather>,
    /// Machines that nothing reaches, and machines from which nothing comes.
    deaf: BTreeSet<IpAddr>,
    mute: BTreeSet<IpAddr>,
    next_port: u16,
}

/// See the module.
#[derive(Debug)]
pub struct Net {
    state: Mutex<State>,
    pushed: Notify,
    dice: Dice,
    history: Arc<History>,
}

impl Net {
    /// An empty network.
    #[must_use]
    pub fn new(seed: u64, history: Arc<History>) -> Arc<Self> {
        let state = State { next_port: 20_000, ..State::default() };
        let dice = Dice::new(seed, "net");
        Arc::new(Self { state: Mutex::new(state), pushed: Notify::new(), dice, history })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weather on the way to a machine.
    pub fn set_weather(&self, machine: IpAddr, weather: Weather) {
        self.lock().weather.insert(machine, weather);
    }

    /// Whether datagrams reach a machine, and whether they come from it.
    pub fn cut(&self, machine: IpAddr, deaf: bool, mute: bool) {
        let mut state = self.lock();
        let put = |set: &mut BTreeSet<IpAddr>, on: bool| if on { set.insert(machine) } else { set.remove(&machine) };
        put(&mut state.deaf, deaf);
        put(&mut state.mute, mute);
    }

    /// A socket at an address; port 0 takes the next free one. `alive` is cleared when its owner crashes.
    pub fn socket(self: &Arc<Self>, ip: IpAddr, port: u16, alive: Arc<AtomicBool>) -> Arc<Socket> {
        let mut state = self.lock();
        let port = if port == 0 {
            state.next_port = state.next_port.checked_add(1).unwrap_or(20_000);
            state.next_port
        } else {
            port
        };
        let me = SocketAddr::new(ip, port);
        state.boxes.insert(me, Mailbox::default());
        Arc::new(Socket { net: Arc::clone(self), me, alive })
    }

    /// Delivers for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.lock().flying.peek().map(|flying| flying.0.at);
            match next {
                None => self.pushed.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = self.pushed.notified() => {}
                    () = sleep_until(at) => self.deliver(),
                },
            }
        }
    }

    fn deliver(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        while let Some(Reverse(next)) = state.flying.peek()
            && next.at <= now
        {
            let Some(Reverse(flying)) = state.flying.pop() else { return };
            if state.deaf.contains(&flying.to.ip()) || state.mute.contains(&flying.from.ip()) {
                continue;
            }
            let Some(mailbox) = state.boxes.get_mut(&flying.to) else { continue };
            if mailbox.waiting.len() < BOX_MAX {
                mailbox.waiting.push_back((flying.from, flying.data));
                if let Some(waker) = mailbox.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        self.history.datagram(from, to, data.len());
        let mut state = self.lock();
        let of = |ip| state.weather.get(&ip).copied();
        let weather = of(from.ip()).or_else(|| of(to.ip())).unwrap_or(Weather::FAIR);
        if self.dice.chance(weather.loss) {
            return;
        }
        let copies = if self.dice.chance(weather.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = Duration::from_millis(self.dice.between(weather.delay_ms.0, weather.delay_ms.1 + 1));
            state.sent += 1;
            let flying = Flying { at: Instant::now() + delay, number: state.sent, from, to, data: data.to_vec() };
            let earliest = state.flying.peek().is_none_or(|next| flying.at < next.0.at);
            state.flying.push(Reverse(flying));
            if earliest {
                self.pushed.notify_one();
            }
        }
    }
}

/// One socket.
#[derive(Debug)]
pub struct Socket {
    net: Arc<Net>,
    me: SocketAddr,
    alive: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A socket of a crashed owner goes late; its address may have a new one by then.
        if self.alive.load(Ordering::Relaxed) {
            self.net.lock().boxes.remove(&self.me);
        }
    }
}

#[derive(Debug)]
struct Always;

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.alive.load(Ordering::Relaxed) {
            self.net.send(self.me, transmit.destination, transmit.contents);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.alive.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut state = self.net.lock();
        let Some(mailbox) = state.boxes.get_mut(&self.me) else { return Poll::Pending };
        let mut count = 0;
        while count < buffers.len() {
            let Some((from, data)) = mailbox.waiting.pop_front() else { break };
            let Some(room) = buffers[count].get_mut(..data.len()) else { continue };
            room.copy_from_slice(&data);
            meta[count] = RecvMeta { addr: from, len: data.len(), stride: data.len(), ..RecvMeta::default() };
            count += 1;
        }
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        mailbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.me)
    }
}
