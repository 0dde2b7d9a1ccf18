"""What measuring lanes costs: TuSimple's accuracy and CULane's matching against the same rules written plainly.

``python -m benchmarks.metrics [--tusimple 2782] [--culane 1000] [--rounds 3]`` makes up as many frames as TuSimple's
test set has, and a thousand of CULane's size, four lines in each. The peers stand below: for TuSimple loops over points
in Python and scikit-learn's regression, as the official script has them; for CULane every piece of every line drawn on
pictures of the whole image by Pillow, as the official program does with OpenCV, whose pixels differ here and there from
Pillow's, so that a line on the verge of a match may fall on the other side. Peers see a share of the frames and are
scaled up. Contestants take turns; a figure is the median over rounds, of processor seconds: other work does not count.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from scipy.interpolate import CubicSpline
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LinearRegression

from models.arrays import Bools
from models.lane import tusimple_accuracy
from models.lane.culane_matching import matches
from models.records import Lane, Lanes

LINES = 4
PEER_SHARE = 1 / 40  # of the frames

Frame = tuple[Lanes, Lanes]
Line = list[float]


@dataclass(frozen=True)
class Contest:
    """One metric on ``frames``: ours on all of them and the peer on a share; both return what they found."""

    name: str
    peer_name: str
    frames: Sequence[Frame]
    ours: Callable[[Sequence[Frame]], float]
    peer: Callable[[Sequence[Frame]], float]


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tusimple", type=int, default=2782, help="frames")
    parser.add_argument("--culane", type=int, default=1000, help="frames")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    tusimple = [frame(rng, 1280, 720) for _ in range(given.tusimple)]
    culane = [frame(rng, 1640, 590) for _ in range(given.culane)]
    report(
        [
            Contest("TuSimple accuracy", "loops, scikit-learn", tusimple, accuracy, plain_accuracy),
            Contest("CULane matching", "whole pictures, Pillow", culane, matched, plainly_matched),
        ],
        given.rounds,
    )


def report(contests: Sequence[Contest], rounds: int) -> None:
    """The medians over rounds, and how many times longer the peer takes."""
    table = Table(title=f"processor seconds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for column in ("metric", "frames", "prelabel s", "peer", "peer s", "peer / prelabel", "found, and by the peer"):
        table.add_column(column, justify="right")
    for contest in contests:
        few = contest.frames[: max(1, round(len(contest.frames) * PEER_SHARE))]
        times, scale = [], len(contest.frames) / len(few)
        for _ in range(rounds):
            times.append((seconds(contest.ours, contest.frames), scale * seconds(contest.peer, few)))
        ours, peer = (statistics.median(each) for each in zip(*times, strict=True))
        ratio = statistics.median(theirs / own for own, theirs in times)
        found = f"{contest.ours(few):.4f}, {contest.peer(few):.4f}"
        row = (f"{ours:.2f}", contest.peer_name, f"{peer:.1f}", f"{ratio:.1f}", found)
        table.add_row(contest.name, str(len(contest.frames)), *row)
    Console(width=140).print(table)


def seconds(work: Callable[[Sequence[Frame]], float], frames: Sequence[Frame]) -> float:
    """Processor time of one run."""
    begun = time.process_time()
    work(frames)
    return time.process_time() - begun


def frame(rng: np.random.Generator, width: int, height: int) -> Frame:
    """Lines that meet at a vanishing point, sampled every ten pixels, and guesses that are a little off."""
    rows = np.arange(height - 10.0, height * 0.4, -10)
    share = (rows - rows[-1]) / (rows[0] - rows[-1])
    truth, guess = [], []
    for k in range(LINES):
        bottom, bend = width * (k + 0.5) / LINES + rng.normal(0, width / 50), rng.normal(0, width / 40)
        columns = width / 2 + (bottom - width / 2) * share + bend * share * (1 - share)
        off = rng.normal(0, width / 80) * share + rng.normal(0, 1, len(rows))
        truth.append(Lane(tuple(zip(columns.tolist(), rows.tolist(), strict=True))))
        guess.append(Lane(tuple(zip((columns + off).tolist(), rows.tolist(), strict=True))))
    return Lanes(width, height, tuple(guess)), Lanes(width, height, tuple(truth))


def accuracy(frames: Sequence[Frame]) -> float:
    """Ours: the mean accuracy."""
    return statistics.fmean(tusimple_accuracy.score(*frame).accuracy for frame in frames)


def matched(frames: Sequence[Frame]) -> float:
    """Ours: matched lines a frame."""
    return statistics.fmean(len(matches(*frame)) for frame in frames)


def plain_accuracy(frames: Sequence[Frame]) -> float:
    """TuSimple's accuracy of at most four lines a frame, point by point."""
    rows = [float(row) for row in range(160, 720, 10)]
    total = 0.0
    for guess, truth in frames:
        said, there = ([crossings(lane, rows, label.width) for lane in label.lanes] for label in (guess, truth))
        for line in there:
            near, shares = 20 / np.cos(np.arctan(slope(line, rows))), []
            for other in said:
                pairs = [(a if a >= 0 else -100, b if b >= 0 else -100) for a, b in zip(other, line, strict=True)]
                shares.append(sum(abs(a - b) < near for a, b in pairs) / len(rows))
            total += max(shares, default=0.0) / max(1, len(there))
    return total / len(frames)


def crossings(lane: Lane, rows: Line, width: int) -> Line:
    """The column of a line that rises from its first point, at each row; -2 where there is none."""
    found = []
    for row in rows:
        column = -2.0
        for (x1, y1), (x2, y2) in pairwise(lane.points):
            if y2 <= row <= y1:
                column = x1 + (x2 - x1) * (row - y1) / (y2 - y1)
                break
        found.append(column if 0 <= column < width else -2.0)
    return found


def slope(line: Line, rows: Line) -> float:
    """Columns a row, by least squares."""
    there = [(row, column) for row, column in zip(rows, line, strict=True) if column >= 0]
    if len(there) < 2:
        return 0.0
    regression = LinearRegression().fit([[row] for row, _ in there], [column for _, column in there])
    return float(regression.coef_[0])


def plainly_matched(frames: Sequence[Frame]) -> float:
    """Matched lines a frame: two pictures for each pair of lines."""
    total = 0
    for guess, truth in frames:
        similarity = np.zeros((len(guess.lanes), len(truth.lanes)))
        for i, one in enumerate(guess.lanes):
            for j, other in enumerate(truth.lanes):
                a, b = picture(one, guess), picture(other, truth)
                similarity[i, j] = (a & b).sum() / max(1, (a | b).sum())
        rows, columns = linear_sum_assignment(-similarity)
        total += int((similarity[rows, columns] > 0.5).sum())
    return total / len(frames)


def picture(lane: Lane, image: Lanes) -> Bools:
    """A line of three points or more along its spline, piece by piece, 31 px broad with round ends."""
    points = np.array(lane.points)
    at = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    places = np.interp(np.arange(50 * (len(points) - 1) + 1) / 50, np.arange(len(points)), at)
    corners = [(round(x), round(y)) for x, y in CubicSpline(at, points, bc_type="natural")(places)]
    drawn = Image.new("1", (image.width, image.height))
    pen = ImageDraw.Draw(drawn)
    for (x1, y1), (x2, y2) in pairwise(corners):
        pen.line((x1, y1, x2, y2), fill=1, width=31)
        for x, y in ((x1, y1), (x2, y2)):
            pen.ellipse((x - 15, y - 15, x + 15, y + 15), fill=1)
    return np.asarray(drawn)


if __name__ == "__main__":
    main()
