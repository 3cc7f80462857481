//! What goes wrong, and is mended again.

use crate::COORDINATOR;
use crate::dice::Dice;
use crate::history::Event;
use crate::machine::Machine;
use crate::net::Weather;
use crate::world::World;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Breaks things until the time is over.
pub async fn run(world: Arc<World>, dice: Arc<Dice>, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        sleep(dice.ms(15_000, 75_000)).await;
        let (own, chance) = (Arc::clone(&world), Arc::clone(&dice));
        world.spawn("fault", async move { one(&own, &chance).await });
    }
}

fn say(world: &World, what: String) {
    world.history.say(Event::Fault(what));
}

async fn one(world: &World, dice: &Dice) {
    let Some(machine) = dice.one_of(&world.machines).cloned() else { return };
    let n = machine.index;
    match dice.between(0, 12) {
        0 | 1 => {
            let (deaf, mute) = *dice.one_of(&[(true, true), (true, false), (false, true)]).unwrap_or(&(true, true));
            say(world, format!("machine {n} is cut off: hears nothing {deaf}, is not heard {mute}"));
            world.net.cut(machine.ip, deaf, mute);
            sleep(dice.ms(1_000, 90_000)).await;
            world.net.cut(machine.ip, false, false);
        }
        2 => {
            let delay = dice.between(5, 400);
            let bad = Weather { loss: dice.between(0, 300), twice: dice.between(0, 200), delay_ms: (delay / 4, delay) };
            say(world, format!("bad weather for machine {n}: {bad:?}"));
            world.net.set_weather(machine.ip, bad);
            sleep(dice.ms(5_000, 90_000)).await;
            world.net.set_weather(machine.ip, Weather::FAIR);
        }
        3..6 => coordinator_crash(world, dice).await,
        6..8 => {
            say(world, format!("agent {n} dies"));
            machine.crash();
            sleep(dice.ms(100, 30_000)).await;
            machine.start();
        }
        8 => {
            say(world, format!("machine {n} loses power"));
            machine.power_cut();
            sleep(dice.ms(2_000, 60_000)).await;
            machine.start();
        }
        9 => {
            say(world, format!("a cell of machine {n} dies: {}", machine.root.kill_one()));
        }
        10 => slow(world, dice, &machine),
        _ => {
            let skew = *dice.one_of(&[3_600_000, -3_600_000, -1_800_000_000_000, 315_360_000_000, 0]).unwrap_or(&0);
            say(world, format!("the clock of machine {n} is {skew} ms off"));
            machine.skew_ms.store(skew, Ordering::Relaxed);
        }
    }
}

async fn coordinator_crash(world: &World, dice: &Dice) {
    if dice.chance(400) {
        world.coordinator.disk.slow_for(Duration::from_secs(20));
        sleep(dice.ms(500, 5_000)).await;
    }
    say(world, "the coordinator dies".to_owned());
    world.coordinator.crash();
    sleep(dice.ms(100, 25_000)).await;
    restart(world);
}

/// Starts the coordinator, if it is down.
pub fn restart(world: &World) {
    if let Err(error) = world.coordinator.start() {
        world.history.never(format!("the coordinator does not start: {error:#}"));
    }
}

fn slow(world: &World, dice: &Dice, machine: &Machine) {
    let time = dice.ms(5_000, 60_000);
    if dice.chance(500) {
        say(world, format!("the coordinator's disk is slow for {time:?}"));
        world.coordinator.disk.slow_for(time);
    } else {
        say(world, format!("the disk of machine {} is slow for {time:?}", machine.index));
        machine.disk.slow_for(time);
        machine.trouble(time);
    }
}

/// Mends everything at once.
pub fn mend(world: &World) {
    world.net.set_weather(COORDINATOR.ip(), Weather::FAIR);
    world.coordinator.disk.slow_for(Duration::ZERO);
    restart(world);
    for machine in &world.machines {
        world.net.cut(machine.ip, false, false);
        world.net.set_weather(machine.ip, Weather::FAIR);
        machine.disk.slow_for(Duration::ZERO);
        machine.start();
    }
}
