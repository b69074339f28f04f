//! A single-threaded executor with virtual time: which ready task runs next is drawn from the seed, and time jumps to
//! the next timer when nothing is ready. Nothing ready and no timer, but tasks left: they will never be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use verge::clock::{Clock, ManualClock};
use verge::pipeline::Spawn;

use crate::prng::Prng;

/// Virtual time since the start, in milliseconds.
pub type Ms = u64;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Virtual time begins at this moment of the calendar.
pub fn beginning() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What tasks share with their executor.
#[derive(Clone)]
pub struct Handle {
    clock: ManualClock,
    queues: Arc<Mutex<Queues>>,
}

/// The number of a process; what belongs to none has none.
type LifeNumber = Option<u64>;

#[derive(Default)]
struct Queues {
    /// The number of the process that lives.
    life: u64,
    /// Tasks not yet taken in.
    spawned: Vec<(LifeNumber, Task)>,
    /// Tasks to be polled, each once.
    ready: Vec<usize>,
    timers: BinaryHeap<Reverse<Timer>>,
    next_timer: u64,
}

struct Timer {
    at: Ms,
    order: u64,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

struct TaskWaker {
    id: usize,
    queues: Arc<Mutex<Queues>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut queues = self.queues.lock();
        if !queues.ready.contains(&self.id) {
            queues.ready.push(self.id);
        }
    }
}

impl Handle {
    /// The clock that this executor moves.
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    /// The present moment.
    pub fn now(&self) -> Ms {
        self.clock.now().monotonic.as_millis() as Ms
    }

    /// Starts `task`, which no crash ends.
    pub fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.queues.lock().spawned.push((None, Box::pin(task)));
    }

    /// Starts `task`, which ends with the process.
    pub fn start_mortal(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(Box::pin(task));
    }

    /// Ends the process: all its tasks are dropped before anything else runs.
    pub fn end_life(&self) {
        self.queues.lock().life += 1;
    }

    /// Ready at `at`.
    pub fn poll_until(&self, at: Ms, cx: &Context<'_>) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        let mut queues = self.queues.lock();
        let order = queues.next_timer;
        queues.next_timer += 1;
        let waker = cx.waker().clone();
        queues.timers.push(Reverse(Timer { at, order, waker }));
        Poll::Pending
    }

    /// Waits until `at`.
    pub async fn until(&self, at: Ms) {
        let mut set = false;
        std::future::poll_fn(|cx| match set && self.now() < at {
            // A task polls its timer with one waker only, so the timer need not be set again.
            true => Poll::Pending,
            false => {
                set = true;
                self.poll_until(at, cx)
            }
        })
        .await;
    }
}

impl Spawn for Handle {
    fn spawn(&self, task: Task) {
        let mut queues = self.queues.lock();
        let life = Some(queues.life);
        queues.spawned.push((life, task));
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every task is done.
    Finished,
    /// So many tasks wait for something that will not happen.
    Stuck(usize),
    /// The tasks keep each other busy without end.
    Endless,
}

/// More polls than any honest run needs.
const MOST_POLLS: u64 = 2_000_000;

/// The executor.
pub struct Executor {
    handle: Handle,
    prng: Prng,
    tasks: Vec<Option<(LifeNumber, Task)>>,
    life: u64,
    /// Polls tasks that nobody woke now and then, as any executor may.
    spurious: bool,
}

impl Executor {
    /// An executor whose choices come from `seed`.
    pub fn new(seed: u64, spurious: bool) -> Self {
        Executor {
            handle: Handle {
                clock: ManualClock::new(beginning()),
                queues: Arc::default(),
            },
            prng: Prng::new(seed),
            tasks: Vec::new(),
            life: 0,
            spurious,
        }
    }

    /// What tasks need of it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs all tasks to their end; `between` is called after each poll, and `idle` when nothing can run: `true` if that may
    /// have changed.
    pub fn run(&mut self, mut between: impl FnMut(), mut idle: impl FnMut() -> bool) -> Ended {
        for _ in 0..MOST_POLLS {
            self.bury();
            self.take_in();
            let Some(id) = self.choose() else {
                if idle() || self.pass_time() {
                    continue;
                }
                return match self.tasks.iter().flatten().count() {
                    0 => Ended::Finished,
                    left => Ended::Stuck(left),
                };
            };
            self.poll(id);
            between();
        }
        Ended::Endless
    }

    /// Drops the tasks of a process that has ended.
    fn bury(&mut self) {
        let life = self.handle.queues.lock().life;
        if std::mem::replace(&mut self.life, life) == life {
            return;
        }
        let dead = |of: LifeNumber| of.is_some_and(|of| of < life);
        let unborn: Vec<_> = {
            let mut queues = self.handle.queues.lock();
            let (unborn, left) = std::mem::take(&mut queues.spawned)
                .into_iter()
                .partition(|(of, _)| dead(*of));
            queues.spawned = left;
            unborn
        };
        drop(unborn);
        for task in &mut self.tasks {
            if task.as_ref().is_some_and(|(of, _)| dead(*of)) {
                *task = None;
            }
        }
    }

    fn take_in(&mut self) {
        let mut queues = self.handle.queues.lock();
        for task in std::mem::take(&mut queues.spawned) {
            queues.ready.push(self.tasks.len());
            self.tasks.push(Some(task));
        }
    }

    fn choose(&mut self) -> Option<usize> {
        let mut queues = self.handle.queues.lock();
        if queues.ready.is_empty() {
            return None;
        }
        if self.spurious && self.prng.chance(5) {
            return Some(self.prng.below(self.tasks.len() as u64) as usize);
        }
        let place = self.prng.below(queues.ready.len() as u64) as usize;
        Some(queues.ready.swap_remove(place))
    }

    fn poll(&mut self, id: usize) {
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            queues: Arc::clone(&self.handle.queues),
        }));
        let Some((_, task)) = &mut self.tasks[id] else { return };
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks[id] = None;
        }
    }

    /// Moves time to the next timer; false if there is none.
    fn pass_time(&mut self) -> bool {
        let mut queues = self.handle.queues.lock();
        let Some(Reverse(first)) = queues.timers.pop() else {
            return false;
        };
        let mut due = vec![first.waker];
        let now = self.handle.now();
        while queues.timers.peek().is_some_and(|Reverse(next)| next.at <= first.at) {
            due.extend(queues.timers.pop().map(|Reverse(next)| next.waker));
        }
        drop(queues);
        self.handle
            .clock
            .advance(Duration::from_millis(first.at.saturating_sub(now)));
        due.into_iter().for_each(Waker::wake);
        true
    }
}
