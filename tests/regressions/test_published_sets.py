"""Published data sets as they lie on disk: emg2qwerty's flat folder with its own metadata.csv,
chosen by users and by split files; emg2pose's table; downloads of a part of either."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bench.tendon import main as tendon
from compress import artifacts
from compress.artifacts import Folder, OtherSourcesError, Sources, SourcesError
from compress.data import datasets, metadata, splits, training_sessions
from compress.data.choice import split_files, user_names
from compress.data.simulator import pose as simulated_pose
from compress.errors import RecordingError, UsageError
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.graph.samples import Signal
from compress.tasks import groups
from compress.tasks.pose.simulated import COLLECTION as POSE
from compress.tasks.recorded import Recorded
from compress.tasks.typing import charset
from compress.tasks.typing.task import Typed, Typing
from tests.compress.test_pose_networks import tiny
from tests.regressions.typed import TYPING, put

HEADER = "user,session,quality_check_tags,duration_mins,num_keystrokes,num_prompts\n"
POSE_HEADER = (
    "user,session,stage,side,moving_hand,held_out_user,held_out_stage,split,generalization,"
    "filename\n"
)


def table(folder: Path, *rows: tuple[str, str], text: str = "") -> Path:
    """emg2qwerty's metadata.csv of (user, session)."""
    lines = [f'{user},{session},"[]",4.1,812,40\n' for user, session in rows]
    path = folder / metadata.NAME
    path.write_text(text or HEADER + "".join(lines))
    return path


def split(path: Path, train: str = "", val: str = "", test: str = "") -> Path:
    """A published config/user/*.yaml; sessions are user:name."""
    lines = ["# @package _global_", f"user: {path.stem}", "dataset:"]
    for name, sessions in (("train", train), ("val", val), ("test", test)):
        lines.append(f"  {name}:{'' if sessions else ' []'}")
        for session in sessions.split():
            user, _, of = session.partition(":")
            lines += [f"  - user: {user}", f"    session: {of}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def find(data: Path, *, split: tuple[Path, ...] = (), users: tuple[str, ...] = ()):
    return datasets.find(data, data, TYPING, split, users)


def stems(dataset: datasets.Dataset) -> tuple[str, str]:
    return (
        " ".join(p.stem for p in dataset.calibration),
        " ".join(p.stem for p in dataset.heldout),
    )


# --- the flat folder ------------------------------------------------------------------------------


def test_a_typing_table_is_none_of_emg2poses(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c")
    table(tmp_path, ("1", "a"), ("1", "b"), ("1", "c"))
    found = find(tmp_path)
    assert stems(found) == ("a", "b c") and found.users == ("1", "1")
    assert any("a.hdf5 does, the first session by name in" in note for note in found.notes)
    assert training_sessions.find(tmp_path, None, tmp_path, TYPING).train == tuple(
        tmp_path / f"{name}.hdf5" for name in "abc"
    )


def test_users_of_the_table_are_chosen_and_each_has_its_own_calibration(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c", "d", "e", "f")
    rows = [("89335547", "a"), ("09456349", "b"), ("89335547", "c"), ("3", "d"), ("3", "e")]
    table(tmp_path, *rows, ("09456349", "f"))
    assert stems(find(tmp_path, users=("89335547",))) == ("a", "c")
    both = find(tmp_path, users=("3", "9456349"))
    assert stems(both) == ("b d", "e f"), "a number is the same without the zero in front of it"
    assert both.users == ("3", "09456349")


def test_without_a_table_files_say_whose_they_are(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", user="ann")
    put(tmp_path, "c", "d", user="bob")
    assert stems(find(tmp_path, users=("bob",))) == ("c", "d")
    assert find(tmp_path).users == ("ann", "bob", "bob")


def test_sessions_in_folders_of_users_are_found(tmp_path: Path) -> None:
    put(tmp_path / "ann", "x1", "x2", user="ann")
    put(tmp_path / "bob", "y1", "y2", user="bob")
    assert stems(find(tmp_path)) == ("x1", "x2 y1 y2")
    assert stems(find(tmp_path, users=("ann", "bob"))) == ("x1 y1", "x2 y2")


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (("7",), r"USERS=7: expected users of .*, found 1, 2"),
        (("1", "2"), r"USERS=2: expected a second session of each to score, found none"),
    ],
)
def test_users_who_cannot_be_scored_are_refused(
    users: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    put(tmp_path, "a", "b", "c")
    table(tmp_path, ("1", "a"), ("1", "b"), ("2", "c"))
    with pytest.raises(RecordingError, match=said):
        find(tmp_path, users=users)


def test_what_the_table_lists_and_is_not_there_is_counted_and_named(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "z")
    table(tmp_path, ("1", "a"), ("1", "b"), *(("2", f"gone{i}") for i in range(7)))
    notes = " | ".join(find(tmp_path).notes)
    assert "lists 10 sessions, 3 are there; missing: gone0, gone1" in notes
    assert "and 2 more" in notes and "1 session is not in metadata.csv: z" in notes
    with pytest.raises(RecordingError, match="USERS=2: expected a second session"):
        find(tmp_path, users=("2",))


def test_training_learns_from_the_users_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", user="ann")
    put(tmp_path, "c", user="bob")
    found = training_sessions.find(tmp_path, None, tmp_path, TYPING, ("ann",))
    assert [p.stem for p in found.train] == ["a", "b"] and "ann in" in found.text()
    file = split(tmp_path / "s.yaml", "1:a 2:c", "1:b")
    found = training_sessions.find(tmp_path, file, tmp_path, TYPING, ("2",))
    assert [p.stem for p in found.train] == ["c"] and not found.validation
    with pytest.raises(RecordingError, match="USERS=eve: expected users of"):
        training_sessions.find(tmp_path, None, tmp_path, TYPING, ("eve",))
    with pytest.raises(UsageError, match="USERS=ann: expected DATA=folder too"):
        training_sessions.find(None, None, tmp_path, TYPING, ("ann",))


def test_options_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"USERS=1: expected DATA=folder too"):
        datasets.find(None, tmp_path, TYPING, (), ("1",))
    with pytest.raises(UsageError, match=r"SPLIT=a\.yaml: expected DATA=folder too"):
        datasets.find(None, tmp_path, TYPING, (Path("a.yaml"),))


# --- split files ----------------------------------------------------------------------------------


def test_val_of_a_split_calibrates_and_test_is_scored(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c", "d", "e")
    table(tmp_path, *(("5", name) for name in "abcde"))
    file = split(tmp_path / "config/user/user0.yaml", "5:a 5:b", "5:d 5:c", "5:e")
    assert stems(find(tmp_path, split=(file,))) == ("d", "e"), "in the order of the file"
    no_val = split(tmp_path / "no_val.yaml", "5:b 5:a", "", "5:e")
    assert stems(find(tmp_path, split=(no_val,))) == ("b", "e")
    base = tmp_path / "config/base.yaml"
    base.write_text("defaults:\n  - user: user0\n  - _self_\ndataset:\n  root: ${here}/data\n")
    assert stems(find(tmp_path, split=(base,))) == ("d", "e")


def test_several_splits_calibrate_on_each_user_and_score_each(tmp_path: Path) -> None:
    put(tmp_path / "data", *"abcdef")
    files = [
        split(tmp_path / "user0.yaml", "10:a", "10:b", "10:c"),
        split(tmp_path / "user1.yaml", "11:d", "11:e", "11:f"),
    ]
    found = find(tmp_path / "data", split=tuple(files))
    assert stems(found) == ("b e", "c f") and found.users == ("10", "11")
    split(files[1], "010:d", "010:e", "010:f")
    assert find(tmp_path / "data", split=tuple(files)).users == ("10", "10"), "the same person"
    split(files[1], "11:d", "11:e", "11:f")
    one = find(tmp_path / "data", split=tuple(files), users=("11",))
    assert stems(one) == ("e", "f")


def test_the_generic_split_is_scored_by_users_it_has_not_seen(tmp_path: Path) -> None:
    names = [f"s{i:02}" for i in range(24)]
    put(tmp_path / "data", *names)
    val = " ".join(f"{i}:s{i:02}" for i in range(12))
    file = split(tmp_path / "generic.yaml", "", val, "90:s20 91:s21 90:s22")
    found = find(tmp_path / "data", split=(file,))
    assert len(found.calibration) == datasets.CALIBRATION_USERS, "some users, not all"
    assert found.users == ("90", "91", "90")
    personal = find(tmp_path / "data", split=(file,), users=("91",))
    assert stems(personal)[1] == "s21"
    assert any("others' calibrate" in note for note in personal.notes)


def test_a_partial_download_is_scored_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    put(tmp_path / "data", "b", "c")
    file = split(tmp_path / "user0.yaml", "1:a", "1:b", "1:c 1:d")
    found = find(tmp_path / "data", split=(file,))
    notes = " | ".join(found.notes)
    assert stems(found) == ("b", "c")
    assert "lists 4 sessions, 2 are there; missing: a (train), d (test)" in notes
    assert "scores are of the 1 test session there, not of all 2" in notes
    with pytest.raises(RecordingError, match="2 of its 4 sessions are not in"):
        training_sessions.find(tmp_path / "data", file, tmp_path, TYPING)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (("1:a", "1:b", "1:x 1:y"), r"none of its 2 test sessions is in .*: x, y"),
        (("1:x", "1:y", "1:a"), r"expected a val or train recording .* 0 val, 1 test; 2 more"),
        (("1:a", "1:b", ""), r"found 1 train, 1 val, 0 test"),
    ],
)
def test_a_split_that_cannot_be_scored_is_refused(
    lists: tuple[str, str, str], said: str, tmp_path: Path
) -> None:
    put(tmp_path / "data", "a", "b")
    file = split(tmp_path / "user0.yaml", *lists)
    with pytest.raises(RecordingError, match=said) as error:
        find(tmp_path / "data", split=(file,))
    assert "\n" not in str(error.value)


def test_splits_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "data", "a", "b", "c", "d")
    first = split(tmp_path / "user0.yaml", "1:a", "1:b", "1:c")
    second = split(tmp_path / "user1.yaml", "1:c", "1:b", "1:d")
    with pytest.raises(RecordingError, match=r"user1\.yaml: c is in train, and in .*user0\.yaml"):
        find(tmp_path / "data", split=(first, second))


def test_emg2poses_own_split_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mini_split.yaml"
    path.write_text("train:\n- a_left\nval:\n- b_left\ntest:\n- c_left\n- c_right\n")
    found = splits.read(path)
    assert (found.train, found.val, found.test) == (("a_left",), ("b_left",), ("c_left", "c_right"))
    path.write_text("_target_: emg2pose.utils.load_splits\nmetadata_file: ${x}/metadata.csv\n")
    with pytest.raises(RecordingError, match="the table of the data set has the splits"):
        splits.read(path)


def test_several_files_and_users_are_one_word_of_make(tmp_path: Path) -> None:
    (tmp_path / "my users").mkdir()
    a, b = tmp_path / "my users" / "user0.yaml", tmp_path / "my users" / "user1.yaml"
    a.touch(), b.touch()
    assert split_files([str(a)]) == (a,), "a path may hold blanks"
    assert split_files([f"{a},{b}"]) == split_files([f"{tmp_path}/*/user?.yaml"][:1]) == (a, b)
    assert split_files(["x.yaml y.yaml"]) == (Path("x.yaml"), Path("y.yaml"))
    with pytest.raises(RecordingError, match="of this pattern, found none"):
        split_files([f"{tmp_path}/none*.yaml"])
    assert user_names(["1 2,3", "1"]) == ("1", "2", "3")


def test_a_build_folder_remembers_users_and_splits_and_notices_a_changed_file(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path / "build", "mine", "w8a16")
    file = split(tmp_path / "user0.yaml", "1:a", "1:b", "1:c")
    net, data, other = tmp_path / "net.ckpt", tmp_path / "data", tmp_path / "other"
    net.touch(), data.mkdir(), other.mkdir()
    made = Sources(net, data, split=(file,), users=("1",))
    artifacts.remember(folder, made, net)
    assert artifacts.resolve(folder, {}, begins=False) == made
    assert artifacts.resolve(folder, {"users": ("1",)}, begins=False) == made
    with pytest.raises(OtherSourcesError, match="USERS=2"):
        artifacts.resolve(folder, {"users": ("2",)}, begins=False)
    everybody = artifacts.resolve(folder, {"users": ("default",)}, begins=True)
    assert (everybody.split, everybody.users) == ((file,), ())
    moved = artifacts.resolve(folder, {"data": other}, begins=True)
    assert (moved.split, moved.users) == ((), ()), "they spoke of the other data"
    split(file, "1:a", "1:c", "1:b")
    with pytest.raises(SourcesError, match=r"user0\.yaml, which has changed since"):
        artifacts.resolve(folder, {}, begins=False)


# --- tables as people have them -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffuser,session\r\n1,a\r\n1,b\r\n",
        "user;session;duration_mins\n1;a;4,1\n1;b;3,9\n",
        "user\tsession\n1\ta\n1\tb\n",
        '"user","session","note"\n"1","a","said ""x"", then y"\n"1","b",""\n',
        "Session , USER,more\na,1.0,x\nb,1,\n\n",
    ],
)
def test_tables_that_went_through_a_spreadsheet_are_read(text: str, tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    (tmp_path / metadata.NAME).write_bytes(text.encode())
    assert stems(find(tmp_path, users=("1",))) == ("a", "b")
    (tmp_path / metadata.NAME).write_bytes(text.removeprefix("\ufeff").encode("utf-16"))
    assert stems(find(tmp_path, users=("1",))) == ("a", "b")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user,length\n1,a\n", "columns missing: session; found user, length"),
        (b"", "columns missing: user, session; found nothing"),
        (b"user,session,user\n1,a,2\n", "the column 'user' stands there twice"),
        (b"user,session\nJos\xe9,a\n", "UTF-8: line 2 has the byte 0xe9; save it as UTF-8"),
        (b"user,session\n1,../a\n", r"line 2: session: expected a name below .*, found '\.\./a'"),
        (b"user,session\n1,C:\\a\n", "line 2: session: expected a name below"),
        (b"user,session\n1,a,b\n", "line 2: expected 2 cells, found 3"),
        (b"user,session\n1,a\n2,a\n", "line 3: a has user 2 and user 1: expected one user"),
        (b'user,session\n1,"a\n', "expected a table of comma-separated text"),
        (b"user,session\n1,a\x00\n", r"line 2: session: expected a name, found 'a\\x00'"),
    ],
)
def test_a_damaged_table_is_refused_in_a_line(content: bytes, said: str, tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    (tmp_path / metadata.NAME).write_bytes(content)
    with pytest.raises(RecordingError, match=said) as error:
        find(tmp_path)
    assert "\n" not in str(error.value) and metadata.NAME in str(error.value)


def test_a_line_that_stands_there_twice_counts_once_and_is_said(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    table(tmp_path, ("1", "a"), ("1", "b"), ("1", "a"))
    found = find(tmp_path)
    assert stems(found) == ("a", "b") and "metadata.csv says 1 line twice" in found.notes[0]


def test_emg2qwertys_table_is_none_for_a_pose_network(tmp_path: Path) -> None:
    table(tmp_path, ("1", "a"))
    with pytest.raises(RecordingError, match=r"columns missing: split, filename.*emg2qwerty's"):
        datasets.find(tmp_path, tmp_path, POSE)


# --- scores ---------------------------------------------------------------------------------------


def test_edits_are_summed_within_a_user_and_users_count_alike() -> None:
    texts = {"a": ("abcdefghij", "abcdefghij"), "b": ("xy", "xz"), "c": ("lmno", "lmnn")}
    recorded = [
        Recorded(Path(name), Signal(np.zeros((1, 32), np.float32)), Typed(typed, []))
        for name, (typed, _) in texts.items()
    ]
    wrong, right = ([emissions(pair[i]) for pair in texts.values()] for i in (1, 0))
    of = {Path("a"): "7", Path("b"): "7", Path("c"): "8"}
    found = groups.scores(Typing(), None, {"float": wrong, "quantized": right}, recorded, of)  # type: ignore[arg-type]
    assert [(u["name"], u["recordings"], u["amount"]) for u in found] == [("7", 2, 12), ("8", 1, 4)]
    assert [u["float"] for u in found] == pytest.approx([100 / 12, 25.0]), "1 of 12, 1 of 4"
    over = groups.over(found)
    assert over["quantized"] == {"mean": 0.0, "std": 0.0}
    errors = [100 / 12, 25.0]
    assert over["float"]["mean"] == pytest.approx(np.mean(errors))
    assert over["float"]["std"] == pytest.approx(np.std(errors)), "the population's, as published"
    assert (
        "mean over 2 users ± standard deviation: float 16.67 % ± 8.33, integer 0.00 % ± 0.00"
        in (groups.mean_line(over, "%"))
    )


def test_networks_of_single_users_are_put_in_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, error in enumerate((20.57, 10.32, 8.409, 8.928, 7.907, 5.811, 14.21, 14.06)):
        user = {"name": str(number), "recordings": 2, "amount": 900, "amount_is": "characters"}
        report = {
            "metric": {"name": "CER", "unit": "%"},
            "precision": "w8a16",
            "simulated": False,
            "users": [user | {"float": error, "quantized": error + 0.1}],
        }
        path = tmp_path / f"user{number}/w8a16/quantize.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(report))
    reports, out = f"{tmp_path}/user*/w8a16/quantize.json", tmp_path / "users.json"
    assert tendon(["users", "--reports", reports, "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert "mean over 8 users ± standard deviation: float 11.28 % ± 4.45, integer 11.38 %" in said
    assert json.loads(out.read_text())["over_users"]["groups"] == 8

    again = [reports, str(tmp_path / "again.json")]
    (tmp_path / "again.json").write_text(path.read_text())
    assert tendon(["users", "--reports", *again]) == 1
    assert "user 7 is in" in capsys.readouterr().err
    for content in (
        "{}",
        "[",
        json.dumps(report | {"users": []}),
        json.dumps(report | {"users": 3}),
    ):
        (tmp_path / "again.json").write_text(content)
        assert tendon(["users", "--reports", str(tmp_path / "again.json")]) == 1
        assert "expected a quantize.json with errors of users" in capsys.readouterr().err


def emissions(text: str) -> np.ndarray:
    """Frames (n, 99) that read as a text: each character in a frame between blanks."""
    labels = [charset.BLANK]
    for character in text:
        labels += [charset.CHARSET.index(character), charset.BLANK]
    return np.eye(charset.BLANK + 1, dtype=np.float32)[labels]


def test_pose_recordings_are_scored_by_generalization(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.manual_seed(0)
    checkpoint.save(tmp_path / "mine.ckpt", build(tiny()), tiny())
    data = tmp_path / "data"
    rows = [
        ("u1", "val", "", "v"),
        ("u2", "test", "user", "t0"),
        ("u1", "test", "stage", "t1"),
        ("u1", "test", "stage", "t2"),
        ("u2", "test", "user_stage", "gone"),
    ]
    data.mkdir()
    text = "".join(f"{u},s,Fist,left,True,False,False,{s},{g},{f}\n" for u, s, g, f in rows)
    (data / metadata.NAME).write_text(POSE_HEADER + text)
    for number, (user, _, _, name) in enumerate(rows[:4]):
        recording = simulated_pose.simulate("heldout", number, 4.0, 7)
        simulated_pose.write(data / f"{name}.hdf5", recording, name, user=user)
    arguments = ["--model", "mine", "--checkpoint", str(tmp_path / "mine.ckpt")]
    arguments += ["--data", str(data), "--build", str(tmp_path / "build")]
    assert tendon(["quantize", *arguments]) == 0

    printed, folder = capsys.readouterr(), tmp_path / "build/mine/w8a16"
    said = printed.out
    report = json.loads((folder / "quantize.json").read_text())
    assert "scores are of the 3 test sessions there, not of all 4" in printed.err
    kinds = {kind["name"]: kind for kind in report["generalization"]}
    assert {name: kind["recordings"] for name, kind in kinds.items()} == {"stage": 2, "user": 1}
    with (folder / "generalization.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["generalization"], line["network"]) for line in lines] == [
        (kind, network) for kind in ("stage", "user") for network in ("float", "quantized")
    ]
    for line in lines:
        error = kinds[line["generalization"]][line["network"]]
        assert np.degrees(float(line["test_mae"])) == pytest.approx(error), "rad, as published"
        loss = float(line["test_mae"]) + 0.01 * float(line["test_fingertip_distance"])
        assert float(line["test_loss"]) == pytest.approx(loss)
    published = ["test_mae", "test_vel", "test_acc", "test_jerk", "test_mae_thumb"]
    assert [name for name in lines[0] if name.startswith("test_")][:5] == published
    assert "generalization" in said and "user_stage" not in kinds
    over = report["over_users"]
    assert [(u["name"], u["recordings"]) for u in report["users"]] == [("u1", 2), ("u2", 1)]
    assert over["float"]["mean"] == pytest.approx(np.mean([u["float"] for u in report["users"]]))
    assert f"mean over 2 users ± standard deviation: float {over['float']['mean']:.2f} °" in said
