//! Worker processes that are shell scripts.

use schema::MediaTime;
use schema::ladder::FrameRate;

use super::*;

fn plan() -> Plan {
    Plan {
        start: MediaTime::ZERO,
        video: Vec::new(),
        frame_rate: FrameRate::THIRTY,
        keyframe_interval: MediaTime::SECOND,
        part_frames: 10,
        audio: None,
        thumbnail: None,
        encoder: "libx264".to_owned(),
        preset: "veryfast".to_owned(),
    }
}

fn program(program: &str, arguments: &[&str]) -> WorkerCommand {
    WorkerCommand::Process {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment: vec![("HEADWATER_TEST".into(), "seen".into())],
    }
}

fn thread(
    work: impl FnOnce(ThreadSocket, ThreadSocket) -> Result<(), String> + Send + 'static,
) -> (WorkerInput, WorkerOutput) {
    let mut seam = Seam::new(plan());
    seam.run_thread(work).unwrap();
    seam.finish().split()
}

/// Sends until the worker is seen to be gone.
async fn fill(input: &WorkerInput) {
    while input.send(Input::Finish).await.is_ok() {}
}

#[tokio::test]
async fn a_program_that_does_not_exist_cannot_be_started() {
    let error = Worker::start(&program("/nonexistent/worker", &[]), plan()).unwrap_err();
    assert!(matches!(error, StartError::Spawn { .. }), "{error}");
}

#[tokio::test]
async fn a_program_that_fails_at_once_ends_with_its_status_and_takes_no_more() {
    let how = program("/bin/sh", &["-c", "exit 3"]);
    let (input, mut output) = Worker::start(&how, plan()).unwrap().split();
    assert!(output.pid().is_some());
    assert_eq!(output.next().await, None);
    assert_eq!(output.ended().await, WorkerEnd::Failed("exit status: 3".to_owned()));
    fill(&input).await;
}

#[tokio::test]
async fn a_program_gets_its_environment() {
    let how = program("/bin/sh", &["-c", "test \"$HEADWATER_TEST\" = seen"]);
    let (_input, mut output) = Worker::start(&how, plan()).unwrap().split();
    assert_eq!(output.ended().await, WorkerEnd::Exited);
}

#[tokio::test]
async fn a_program_that_writes_nonsense_is_killed() {
    let how = program("/bin/sh", &["-c", "echo 'no message of ours'; exec cat"]);
    let (_input, mut output) = Worker::start(&how, plan()).unwrap().split();
    assert_eq!(output.next().await, None);
    assert!(matches!(output.ended().await, WorkerEnd::Garbled(_)));
}

#[tokio::test]
async fn killing_is_noticed() {
    let how = program("/bin/sh", &["-c", "exec sleep 600"]);
    let (input, mut output) = Worker::start(&how, plan()).unwrap().split();
    output.kill();
    assert_eq!(output.next().await, None);
    assert_eq!(output.ended().await, WorkerEnd::Killed);
    fill(&input).await;
}

#[tokio::test]
async fn a_signal_from_outside_is_noticed() {
    let how = program("/bin/sh", &["-c", "kill -SEGV $$"]);
    let (_input, mut output) = Worker::start(&how, plan()).unwrap().split();
    let WorkerEnd::Failed(why) = output.ended().await else {
        panic!("no failure");
    };
    assert!(why.contains("signal: 11"), "{why}");
}

#[tokio::test]
async fn a_worker_exits_when_its_input_is_dropped() {
    let how = program("/bin/sh", &["-c", "exec cat >/dev/null"]);
    let (input, mut output) = Worker::start(&how, plan()).unwrap().split();
    drop(input);
    assert_eq!(output.ended().await, WorkerEnd::Exited);
}

#[tokio::test]
async fn a_full_queue_gives_the_message_back_and_a_dropped_send_loses_nothing() {
    let how = program("/bin/sh", &["-c", "exec sleep 600"]);
    let (input, output) = Worker::start(&how, plan()).unwrap().split();
    // The current-thread runtime runs no other task between these calls.
    for _ in 0..INPUT_QUEUE - 1 {
        input.try_send(Input::Finish).unwrap();
    }
    let full = input.try_send(Input::Finish).unwrap_err();
    assert_eq!(full, TrySendError::Full(Box::new(Input::Finish)));
    output.kill();
}

#[tokio::test]
async fn a_thread_hears_its_plan_first_and_is_heard() {
    let (input, mut output) = thread(|mut input, mut output| {
        let first = wire::read::<Input>(&mut input).map_err(|error| error.to_string())?;
        if first != Some(Input::Start(plan())) {
            return Err(format!("{first:?}"));
        }
        wire::write(&mut output, &Output::Finished).map_err(|error| error.to_string())
    });
    assert_eq!(output.pid(), None);
    assert_eq!(output.next().await, Some(Output::Finished));
    assert_eq!(output.next().await, None);
    assert_eq!(output.ended().await, WorkerEnd::Exited);
    fill(&input).await;
}

#[tokio::test]
async fn killing_a_thread_ends_its_input() {
    let (_input, mut output) = thread(|mut input, _output| {
        while let Ok(Some(_)) = wire::read::<Input>(&mut input) {}
        Err("its input ended".to_owned())
    });
    output.kill();
    assert_eq!(output.ended().await, WorkerEnd::Killed);
    assert_eq!(output.next().await, None);
}

#[tokio::test]
async fn a_panic_of_a_thread_is_an_end_like_any_other() {
    let (_input, mut output) = thread(|_, _| panic!("a codec went wrong"));
    assert!(matches!(output.ended().await, WorkerEnd::Failed(why) if why.contains("panicked")));
}

#[tokio::test]
async fn a_worker_that_was_started_ahead_gets_its_plan_first() {
    let how = program("/bin/sh", &["-c", "test $(head -c 1 | wc -c) = 1"]);
    let waiting = Worker::ahead(&how).unwrap().unwrap();
    let (_input, mut output) = waiting.start(plan()).unwrap().split();
    assert_eq!(output.ended().await, WorkerEnd::Exited);
}

#[tokio::test]
async fn a_worker_that_ended_before_its_plan_is_refused() {
    let mut waiting = Worker::ahead(&program("/bin/sh", &["-c", "exit 3"])).unwrap().unwrap();
    waiting.child.wait().await.unwrap();
    let error = waiting.start(plan()).unwrap_err();
    assert!(error.to_string().contains("exit status: 3"), "{error}");
}

#[tokio::test]
async fn a_worker_that_never_gets_a_plan_is_killed() {
    let waiting = Worker::ahead(&program("/bin/sleep", &["1000"])).unwrap().unwrap();
    let alive = std::path::PathBuf::from(format!("/proc/{}/stat", waiting.child.id().unwrap()));
    assert!(alive.exists());
    drop(waiting);
    // A zombie until tokio reaps it.
    while std::fs::read_to_string(&alive).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
}
