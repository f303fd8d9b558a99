"""Remote nodes on the real server, at providers whose ledgers are looked at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import PromptError
from wan_duet.tests.fake_providers.faults import Answer, Lose
from wan_duet.tests.fake_providers.provider import KEY, SIGNATURE
from wan_duet.tests.nodes.graph import AGAIN, Graph, Node, Result, Runner
from wan_duet.tests.nodes.remote.conftest import NODES, Bench, seeds, text_to_video, until
from wan_duet.tests.remote.conftest import MAX_COST

NEVER = 1e9
TEXT = b"\x00\x00\x00\x03"  # how the host marks a message with the text under a node


def run(bench: Bench, graph: Graph) -> Result:
    return Result(bench.client.run(graph.prompt, timeout=60), bench.server.base)


def run_anew(bench: Bench, provider: str, seed: int) -> str:
    """The info text of the same graph, queued once more and not from the host's cache."""
    graph = Graph()
    said = graph.show(text_to_video(graph, provider, seed, **{AGAIN: next(seeds)})[1])
    return run(bench, graph).text(said)


def queue_until(bench: Bench, graph: Graph, true: Callable[[], Any]) -> str:
    prompt_id = bench.client.queue(graph.prompt)
    until(true)
    return prompt_id


def hold(bench: Bench, graph: Graph, provider: str, seed: int, state: str) -> str:
    """The id of a prompt whose job stays in a state."""
    fake = bench.fakes[provider]
    fake.queued, fake.running = (NEVER, 0.0) if state == "queued" else (0.0, NEVER)
    text_to_video(graph, provider, seed)
    return queue_until(bench, graph, lambda: [s for _, s in bench.jobs(seed)] == [state])


def stop(bench: Bench, prompt_id: str) -> None:
    bench.client.interrupt()
    with pytest.raises(PromptError, match="interrupted"):
        bench.client.wait(prompt_id, timeout=60)


@pytest.mark.parametrize("provider", NODES)
def test_a_job_is_paid_once_and_its_file_delivered(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    said = graph.show(text_to_video(graph, provider, seed)[1])
    result = run(bench, graph)
    assert (bench.charges(), bench.state(seed)) == (1, "downloaded")
    (file,) = bench.files(seed)
    assert f"seed: {seed}" in result.text(said) and file.name in result.text(said)
    shown = result.entry["outputs"]["1"]["images"]
    assert [Path(bench.server.base, "output", one["subfolder"], one["filename"]) for one in shown] == [file]


def test_nothing_is_asked_of_a_provider_without_consent(bench: Bench, graph: Graph, seed: int) -> None:
    image = graph.add("EmptyImage", width=64, height=64, batch_size=1, color=0)
    given = {"frames": image, "prompt": "a cat", "resolution": "480p", "num_frames": 81, "seed": seed}
    allowed = {"allow_paid": False, "allow_upload": True}
    node = graph.add("WanDuet_FalImageToVideo", variant="A14B", **given, **allowed)
    with pytest.raises(PromptError, match=r"est\. \$0\.2025\) and allow_paid is off"):
        run(bench, graph)
    graph.prompt[node.id]["inputs"] |= {"allow_paid": True, "allow_upload": False}
    with pytest.raises(PromptError, match="needs your files \\(image\\) and allow_upload is off"):
        run(bench, graph)
    graph.prompt[node.id]["inputs"] |= {"allow_upload": True, "max_cost_usd": 0.2}
    with pytest.raises(PromptError, match=r"max_cost is 0\.2, below the price"):
        run(bench, graph)
    assert bench.fakes["fal"].seen == []


def test_what_is_on_the_web_is_sent_by_its_address_and_nothing_is_uploaded(
    bench: Bench, graph: Graph, seed: int
) -> None:
    address = "https://example.com/first.png"
    frames = graph.add("PrimitiveString", value=address)
    given = {"prompt": "a cat", "resolution": "480p", "num_frames": 81, "seed": seed}
    allowed = {"allow_paid": True, "allow_upload": False, "max_cost_usd": MAX_COST}
    graph.add("WanDuet_FalImageToVideo", variant="A14B", frames=frames, **given, **allowed)
    run(bench, graph)
    fal = bench.fakes["fal"]
    (sent,) = (json.loads(seen.body) for seen in fal.seen if seen.op == "submit")
    assert sent["image_url"] == address and fal.count("token") == fal.count("upload") == 0
    assert (bench.charges(), bench.state(seed)) == (1, "downloaded")


def test_what_a_provider_would_refuse_names_the_input_and_is_not_sent(bench: Bench, graph: Graph, seed: int) -> None:
    text_to_video(graph, "runware", seed, cache_end_step=3, cache_start_step=5, cache_start_step_percentage=50)
    with pytest.raises(PromptError) as refused:
        run(bench, graph)
    assert "cache_start_step_percentage (acceleratorOptions.cacheStartStepPercentage) is 50" in str(refused.value)
    assert "cache_start_step (acceleratorOptions.cacheStartStep) is 5" in str(refused.value)
    assert bench.fakes["runware"].seen == []


@pytest.mark.parametrize("provider", NODES)
def test_the_same_graph_again_collects(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    text_to_video(graph, provider, seed)
    run(bench, graph)
    assert run(bench, graph).cached() == {"1"}
    (file,) = bench.files(seed)
    file.unlink()
    assert run(bench, graph).cached() == set()
    assert file.exists()
    assert "collected now: nothing new was charged" in run_anew(bench, provider, seed)
    assert bench.charges() == len(bench.files(seed)) == 1


def test_several_results_are_several_videos(bench: Bench, graph: Graph, seed: int) -> None:
    node = text_to_video(graph, "runware", seed, number_results=3)
    parts = graph.add("GetVideoComponents", video=node)
    said = graph.show(parts[2])
    result = run(bench, graph)
    assert len(result.entry["outputs"][said.id]["text"]) == 3
    assert bench.charges() == len(bench.files(seed)) == 3


def test_twins_in_one_graph_get_a_job_each(bench: Bench, graph: Graph, seed: int) -> None:
    text_to_video(graph, "fal", seed)
    text_to_video(graph, "fal", seed)
    run(bench, graph)
    assert [state for _, state in bench.jobs(seed)] == ["downloaded"] * 2
    assert bench.charges() == 2


@pytest.mark.parametrize("provider", NODES)
def test_a_failed_sibling_costs_nothing_twice(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    mark = next(bench.marks)
    graph.add("Test_Wait", once=str(mark), fails=True)
    bench.fakes[provider].running = NEVER
    text_to_video(graph, provider, seed)
    prompt_id = queue_until(bench, graph, lambda: [s for _, s in bench.jobs(seed)] == ["running"])
    mark.touch()
    with pytest.raises(PromptError, match="a sibling failed"):
        bench.client.wait(prompt_id, timeout=60)
    bench.finish()
    assert f"seed: {seed}" in run_anew(bench, provider, seed)
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (1, "downloaded", 1)


@pytest.mark.parametrize(("provider", "first"), [("runware", "search"), ("fal", "token"), ("rivya", "credits")])
def test_an_interrupt_before_the_submit_sends_nothing(
    bench: Bench, graph: Graph, seed: int, provider: str, first: str
) -> None:
    fake = bench.fakes[provider]
    fake.fault(first, Lose("hang"))
    if provider == "fal":  # asks for nothing before the submit but where to put an image
        image = graph.add("EmptyImage", width=64, height=64, batch_size=1, color=0)
        given = {"prompt": "a cat", "resolution": "480p", "num_frames": 81, "seed": seed}
        graph.add("WanDuet_FalImageToVideo", variant="A14B", frames=image, **given, allow_paid=True, allow_upload=True)
    else:
        text_to_video(graph, provider, seed)
    stop(bench, queue_until(bench, graph, lambda: fake.count(first)))
    assert (bench.charges(), bench.state(seed), fake.count("submit")) == (0, "cancelled", 0)


@pytest.mark.parametrize("provider", ["fal", "rivya"])  # Runware tells of no queue
def test_an_interrupt_cancels_what_is_queued_or_keeps_it(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    stop(bench, hold(bench, graph, provider, seed, "queued"))
    if provider == "fal":  # the only one that can cancel
        until(lambda: bench.state(seed) == "cancelled")
        assert bench.charges() == 0
        return
    bench.finish()
    run_anew(bench, provider, seed)
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (1, "downloaded", 1)


@pytest.mark.parametrize("provider", NODES)
def test_an_interrupt_leaves_what_runs_to_be_collected(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    stop(bench, hold(bench, graph, provider, seed, "running"))
    bench.finish()
    run_anew(bench, provider, seed)
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (1, "downloaded", 1)


@pytest.mark.parametrize("provider", NODES)
def test_an_interrupt_while_downloading_loses_nothing(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    fake = bench.fakes[provider]
    fake.fault("download", Lose("hang"))
    text_to_video(graph, provider, seed, on_interrupt="cancel")
    stop(bench, queue_until(bench, graph, lambda: fake.count("download")))
    run_anew(bench, provider, seed)
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (1, "downloaded", 1)


@pytest.mark.parametrize("provider", NODES)
def test_a_sampler_that_keeps_the_loop_holds_no_job_up(bench: Bench, graph: Graph, seed: int, provider: str) -> None:
    begin, end = next(bench.marks), next(bench.marks)
    graph.add("Test_Hog", after=graph.add("Test_Wait", once=str(begin), fails=False), until=str(end))
    prompt_id = hold(bench, graph, provider, seed, "running")
    begin.touch()
    bench.finish()
    until(lambda: bench.state(seed) == "downloaded")
    assert prompt_id not in bench.client.history()
    end.touch()
    bench.client.wait(prompt_id, timeout=60)
    assert (bench.charges(), len(bench.files(seed))) == (1, 1)


def test_where_the_job_is_stands_under_the_node(bench: Bench, graph: Graph, seed: int) -> None:
    bench.fakes["fal"].queued = bench.fakes["fal"].running = 1.2
    text_to_video(graph, "fal", seed)
    _, sent = Runner(bench.server, bench.output.name).watched(graph)
    shown = [message[4:].partition(b"fal")[2].decode() for message in sent if message.startswith(TEXT)]
    texts = [text.replace("\n", " ") for text in shown]
    states = [text.split(" ")[2] for text in texts]
    assert [state for n, state in enumerate(states) if state != states[n - 1 : n]] and {"queued", "running"} <= {
        *states
    }
    assert all("price unknown" in text for text in texts)
    assert any(" - queue 3 - " in text for text in texts)


def test_what_the_model_writes_is_shown_and_holds_no_key(bench: Bench, graph: Graph, seed: int) -> None:
    bench.fakes["fal"].running = 1.0
    bench.fakes["fal"].log = ("loading the model", f"step 3 of 40 with {KEY}")
    shown = graph.show(text_to_video(graph, "fal", seed, logs=True)[1])
    try:
        messages, sent = Runner(bench.server, bench.output.name).watched(graph)
    finally:
        bench.fakes["fal"].log = ()
    texts = [message.decode(errors="replace").replace("\n", " ") for message in sent if message.startswith(TEXT)]
    assert any(" - step 3 of 40 with [key]" in text for text in texts)
    ends = [message["data"] for message in messages if message["type"] == "executed"]
    (said,) = (end["output"]["text"][0] for end in ends if end["node"] == shown.id)
    assert "log: loading the model" in said and "log: step 3 of 40 with [key]" in said
    assert all(KEY not in text for text in (said, *texts, bench.server.log_text()))


def test_forgetting_and_listing(bench: Bench, graph: Graph, seed: int) -> None:
    text_to_video(graph, "runware", seed)
    run(bench, graph)
    ((job_id, _),) = bench.jobs(seed)
    journal = Graph()
    listed = _jobs(journal, "list")
    collected = _jobs(journal, "collect", job_id[:12])
    kept = journal.add("GetVideoComponents", video=collected)
    frames = journal.show(kept[2])
    bench.files(seed)[0].unlink()
    result = run(bench, journal)
    line = next(line for line in result.text(journal_text(listed)).splitlines() if job_id[:8] in line)
    assert "downloaded" in line and "$0.25" in line
    assert "Spent by day (UTC), as far as it is known:" in result.text(journal_text(listed))
    assert "Left of today's budgets" in result.text(journal_text(listed))
    assert result.entry["outputs"][frames.id]["text"] and len(bench.files(seed)) == 1
    assert bench.charges() == 1
    forgotten = Graph()
    _jobs(forgotten, "forget", job_id)
    run(bench, forgotten)
    assert bench.jobs(seed) == []
    run_anew(bench, "runware", seed)
    assert bench.charges() == 2


def test_a_forgotten_job_is_bought_anew_though_the_host_still_has_its_output(
    bench: Bench, graph: Graph, seed: int
) -> None:
    text_to_video(graph, "runware", seed)
    run(bench, graph)
    ((job_id, _),) = bench.jobs(seed)
    beside = Graph()
    beside.prompt = dict(graph.prompt)  # the host drops what is not in the prompt
    _jobs(beside, "forget", job_id)
    assert run(bench, beside).cached() == {"1"}
    assert bench.jobs(seed) == []
    assert run(bench, graph).cached() == set()
    assert run(bench, graph).cached() == {"1"}
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (2, "downloaded", 1)


def test_a_job_of_unknown_outcome_stops_none_of_its_neighbours(bench: Bench, graph: Graph, seed: int) -> None:
    fal = bench.fakes["fal"]
    fal.fault("submit", Lose("close"))
    lost = text_to_video(graph, "fal", seed)
    after = graph.show(graph.add("GetVideoComponents", video=lost)[2])
    said = graph.show(lost[1])
    other = seed + 100_000
    neighbour = text_to_video(graph, "runware", other)
    frames = graph.show(graph.add("GetVideoComponents", video=neighbour)[2])
    result = run(bench, graph)
    assert "It may have been charged" in result.text(said)
    assert result.entry["outputs"][frames.id]["text"] and after.id not in result.entry["outputs"]
    assert (bench.state(seed), bench.state(other), len(bench.files(other))) == ("unknown", "downloaded", 1)
    again = run(bench, graph)  # the question is asked anew, the delivered one is not
    assert lost.id not in again.cached() and neighbour.id in again.cached()
    assert bench.charges() == 2 and fal.count("submit") == 1
    ((job_id, _),) = bench.jobs(seed)
    (request_id,) = (job.id for job in fal.generations.values() if job.request.get("seed") == seed)
    attached = Graph()
    _jobs(attached, "attach", job_id, request_id=request_id)
    run(bench, attached)
    assert (bench.state(seed), len(bench.files(seed)), bench.charges()) == ("downloaded", 1, 2)


def test_jobs_without_an_answer_are_cleared_together_but_for_what_may_be_at_work(
    bench: Bench, graph: Graph, seed: int
) -> None:
    for provider, fault in (("runware", Answer(502)), ("fal", Lose("close"))):  # of the first nothing has arrived
        bench.fakes[provider].fault("submit", fault, fault)
        for force_new in range(2):
            text_to_video(graph, provider, seed, force_new=force_new)
    run(bench, graph)
    lost = {id: state for id, state in bench.jobs(seed)}
    assert sorted(lost.values()) == ["lost", "lost", "unknown", "unknown"]
    journal = Graph()
    shown = journal_text(_jobs(journal, "clear unanswered"))
    said = run(bench, journal).text(shown)
    for id, state in lost.items():
        line = next(line for line in said.splitlines() if line.startswith(id[:8]))
        assert ("never arrived, and is dropped" if state == "lost" else "is kept: it may still be at work") in line
    assert [state for _, state in bench.jobs(seed)] == ["unknown"] * 2
    assert bench.charges() == 2


def _jobs(graph: Graph, action: str, job: str = "", **more: Any) -> Node:
    """A journal node, and right after it what shows its report."""
    node = graph.add("WanDuet_RemoteJobs", action=action, job=job, limit=1000, **more)
    graph.show(node[2])
    return node


def journal_text(node: Node) -> Node:
    return Node(str(int(node.id) + 1))


def test_no_key_and_no_signed_address_is_in_anything(bench: Bench, graph: Graph, seed: int) -> None:
    graph.add(
        "WanDuet_SaveVideo",
        video=text_to_video(graph, "fal", seed),
        filename_prefix=f"{bench.output.name}/kept",
        format="mp4",
        quality="high",
        write_mode="fast",
        fps=0.0,
        reverse=False,
    )
    still = {"variant": "A14B", "prompt": "a cat", "image_size": "square", "seed": seed, "allow_paid": True}
    image = graph.add("WanDuet_FalTextToImage", **still, max_cost_usd=MAX_COST)
    graph.add("SaveImage", images=image, filename_prefix=f"{bench.output.name}/kept")
    run(bench, graph)
    bench.fakes["fal"].fails_with = (
        422,
        {"detail": f"the key {KEY} is not liked, nor is https://x.y/z?sig={SIGNATURE}"},
    )
    failing = Graph()
    text_to_video(failing, "fal", seed, force_new=1)
    with pytest.raises(PromptError, match="is not liked"):
        run(bench, failing)
    bench.fakes["fal"].fails_with = None
    paths = ("/history", "/object_info", "/wan_duet/keys", "/settings")
    texts = {path: json.dumps(bench.client.request(path)) for path in paths}
    written = [path for folder in (bench.private, bench.output) for path in folder.rglob("*") if path.is_file()]
    texts |= {path.name: path.read_bytes().decode(errors="replace") for path in written}
    kept = {Path(name).suffix for name, text in texts.items() if name.startswith("kept") and '"seed"' in text}
    assert kept == {".mp4", ".png"}  # both hold the graph
    texts["log"] = bench.server.log_text()
    assert "is not liked" in texts["log"] and "is not liked" in texts["/history"]
    markers = (KEY, KEY.split(":")[0], SIGNATURE)
    assert [(name, marker) for name, text in texts.items() for marker in markers if marker in text] == []


def test_after_a_crash_the_same_graph_collects(bench: Bench, start_bench: Callable[..., Bench], seed: int) -> None:
    crashing = start_bench(bench)
    graph = Graph()
    for provider in NODES:
        crashing.fakes[provider].running = NEVER
        text_to_video(graph, provider, seed)
    queue_until(crashing, graph, lambda: [state for _, state in crashing.jobs(seed)] == ["running"] * len(NODES))
    crashing.server.process.kill()
    crashing.server.process.wait()
    crashing.finish()
    run(bench, graph)  # another process on the same journal
    assert bench.charges() == len(bench.files(seed)) == len(NODES)
    assert [state for _, state in bench.jobs(seed)] == ["downloaded"] * len(NODES)
