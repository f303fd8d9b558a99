"""Sizes and frame images through the nodes."""

from wan_duet.tests.nodes.graph import Graph, Runner

Files = dict[str, str]


def test_the_size_goes_to_the_nodes_that_need_it(run: Runner, graph: Graph) -> None:
    image = graph.add("EmptyImage", width=100, height=200, batch_size=1, color=0)
    size = graph.add("WanDuet_Size", resolution="480p", aspect_ratio="auto", duration=0.5, fps=16.0, image=image)
    latent = graph.add("EmptyHunyuanLatentVideo", width=size[0], height=size[1], length=size[2], batch_size=1)
    report, saved = graph.show(size[4]), graph.save(latent)
    result = run(graph)
    assert result.latent(saved).shape == (1, 16, 3, 880 // 8, 432 // 8)
    assert result.text(report).splitlines() == [
        "432x880, 9 frames at 16 fps  ",
        "The ratio became 0.491 in place of 0.500: multiples of 16.",
    ]


def test_the_size_for_a_5b_model_is_on_its_own_grid(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["5b"], "none")
    size = graph.add("WanDuet_Size", resolution="720p", aspect_ratio="16:9", duration=5.0, fps=24.0, experts=experts)
    report = graph.show(size[4])
    assert run(graph).text(report).splitlines() == [
        "1280x704, 121 frames at 24 fps  ",
        "1280x720 became 1280x704: multiples of 32.",
    ]
