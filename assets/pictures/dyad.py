"""One course of treatment as a picture: alliance from both chairs, ruptures by every rule, outcome, sessions, ending."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from dyadlog.assets.pictures.canvas import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    PAPER,
    RULE,
    SOFT,
    WIDTH,
    Picture,
    figure,
    inline,
    label,
    quiet,
    signs,
    stamp,
)
from dyadlog.assets.pictures.course import Course, Ending, Rating, Rupture, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_ALLIANCE, _OUTCOME, _ROW, _SESSIONS, _GAP, _TOP, _FOOT = 2.0, 0.95, 0.165, 0.26, 0.3, 0.42, 0.42
_RIGHT = 0.12
# Inches of a letter in the names of the rules.
_LETTER = 0.053
# Client and therapist differ in line, mark and fill, not only in colour; whoever else rates looks like the therapist.
_LINES: dict[str, dict[str, Any]] = {
    "client": {"color": ACCENT, "ls": "-", "marker": "o", "mfc": ACCENT},
    "therapist": {"color": INK, "ls": (0, (4, 2)), "marker": "s", "mfc": PAPER},
}
_FORMS = (None, "D", "^", "v", "P")


@dataclass(frozen=True)
class Look:
    """What the picture needs to know of the protocol.

    Args:
        low: lower end of the range to which both raters are brought.
        high: its upper end.
        band_from: ratings from which a course's own spread is used.
    """

    low: float
    high: float
    band_from: int


def dyad_picture(course: Course, look: Look) -> Picture:
    """The picture of one episode.

    Args:
        course: what the marts hold of it.
        look: range and least number of ratings, from study.yaml.
    """
    name = "course"
    title = f"Episode {course.episode_id}"
    if course.is_empty:
        return Picture(name, title, None, "No session, rating or score of this episode is known.")
    lanes = _lanes(course.ruptures)
    forms = list(dict.fromkeys(score.form for score in course.scores))
    heights = [_ALLIANCE, max(1, len(lanes)) * _ROW + 0.05, *[_OUTCOME] * len(forms), _SESSIONS]
    total = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _FOOT
    first, last = _ends(course)
    left = 0.25 + _LETTER * max([len(_lane(*key)) for key in lanes] + [12])
    with figure(total) as drawn:
        panels, top = [], total - _TOP
        for height in heights:
            top -= height
            box = (left / WIDTH, top / total, (WIDTH - left - _RIGHT) / WIDTH, height / total)
            panels.append(drawn.add_axes(box))
            top -= _GAP
        for panel in panels:
            panel.set_xlim(first - 1.7, last + 1.7)
            panel.set_xticks([])
        _alliance(quiet(panels[0]), course, look)
        _ruptures(quiet(panels[1], grid=""), lanes)
        for panel, form in zip(panels[2:-1], forms, strict=True):
            _outcome(quiet(panel), [s for s in course.scores if s.form == form], course, first, last)
        _sessions(quiet(panels[-1], grid=""), course)
        _ending(panels, course)
        if course.simulated:
            stamp(drawn)
        svg = inline(drawn, f"e-{course.episode_id}")
    return Picture(name, title, svg, _caption(course, look), _COLUMNS, _rows(course))


def _ends(course: Course) -> tuple[int, int]:
    numbers = [s.number for s in course.sessions] + [r.session for r in course.ratings]
    numbers += [r.session for r in course.ruptures] + [
        s.session for s in course.scores if s.session is not None
    ]
    return (min(numbers), max(numbers)) if numbers else (1, 1)


# --- panels ---------------------------------------------------------------------------------


def _alliance(panel: Axes, course: Course, look: Look) -> None:
    label(panel, f"Alliance, item mean ({look.low:g} to {look.high:g})")
    if not course.ratings:
        panel.set_yticks([])
        panel.text(0.01, 0.5, "no rating of the alliance", transform=panel.transAxes, color=MUTED)
        return
    series: dict[tuple[str, ...], list[Rating]] = defaultdict(list)
    for rating in course.ratings:
        series[rating.series].append(rating)
    if band := own_band(course, look):
        panel.axhspan(*band, color=SOFT, alpha=0.45, lw=0, label="client's own mean ± 1 SD")
        panel.axhline((band[0] + band[1]) / 2, color=ACCENT, lw=0.6, ls=":")
    seen: Counter[str] = Counter()
    for key, ratings in series.items():
        nth, style = seen[key[0]], _LINES.get(key[0], _LINES["therapist"])
        seen[key[0]] += 1
        if nth:
            style = style | {"marker": _FORMS[nth % len(_FORMS)], "mfc": PAPER}
        several = sum(other[0] == key[0] for other in series) > 1
        panel.plot(
            [r.session for r in ratings],
            [r.value for r in ratings],
            ms=4.2,
            lw=1.2,
            mec=style["color"],
            mew=0.9,
            clip_on=False,
            zorder=3,
            label=f"{key[0]}, {key[1]} {key[3].replace('_', ' ')}" if several else key[0],
            **style,
        )
    values = [r.value for r in course.ratings]
    room = 0.04 * (look.high - look.low)
    panel.set_ylim(min(look.low, *values) - room, max(look.high, *values) + room)
    signs(panel)


def _own(course: Course) -> list[Rating]:
    """The client's series with the most ratings, the first of several: its spread is the client's own variability."""
    series: dict[tuple[str, ...], list[Rating]] = defaultdict(list)
    for rating in course.ratings:
        if rating.rater == "client":
            series[rating.series].append(rating)
    return max(series.values(), key=len, default=[])


def own_band(course: Course, look: Look) -> tuple[float, float] | None:
    """Mean minus and plus one SD (n - 1) of the client's own ratings; None with fewer than the study asks for."""
    values = [rating.value for rating in _own(course)]
    if len(values) < max(2, look.band_from):
        return None
    mean, spread = fmean(values), stdev(values)
    return mean - spread, mean + spread


Lanes = dict[tuple[str, str], list[Rupture]]


def _lanes(ruptures: tuple[Rupture, ...]) -> Lanes:
    lanes: Lanes = {}
    for rupture in ruptures:
        lanes.setdefault((rupture.rule_id, rupture.source), []).append(rupture)
    return lanes


def _lane(rule: str, source: str) -> str:
    return f"{rule} · {source}"


def _ruptures(panel: Axes, lanes: Lanes) -> None:
    label(panel, "Ruptures by rule and source")
    panel.set_ylim(max(1, len(lanes)) - 0.4, -0.6)
    panel.spines["bottom"].set_visible(False)
    if not lanes:
        panel.set_yticks([])
        panel.text(0.01, 0.5, "no rule found one", transform=panel.transAxes, va="center", color=MUTED)
        return
    panel.set_yticks(range(len(lanes)), [_lane(*key) for key in lanes], fontsize=7)
    for place, found in enumerate(lanes.values()):
        panel.axhline(place, color=RULE, lw=0.5, zorder=0)
        for rupture in found:
            if rupture.repaired_in is not None:
                panel.plot(
                    [rupture.session, rupture.repaired_in], [place, place], color=GOOD, lw=1.1, zorder=1
                )
                panel.plot(rupture.repaired_in, place, "|", color=GOOD, ms=6, mew=1.6, zorder=2)
            fill = PAPER if rupture.status == "censored" else BAD
            mark = "x" if rupture.status == "unrepaired" else "v"
            panel.plot(rupture.session, place, mark, ms=4.4, mec=BAD, mfc=fill, mew=1.1, zorder=3)
    for mark, fill, words in (
        ("v", BAD, "rupture, repaired"),
        ("x", BAD, "not repaired"),
        ("v", PAPER, "censored"),
    ):
        panel.plot([], [], mark, ms=4.4, mec=BAD, mfc=fill, mew=1.1, label=words)
    panel.plot([], [], "|", color=GOOD, ms=6, mew=1.6, label="repair")
    signs(panel)


def _place(score: Score, first: int, last: int) -> float:
    """Occasions without a session stand before the first or after the last one."""
    if score.session is not None:
        return score.session
    return {"intake": first - 1.0, "follow_up": last + 1.5}.get(score.occasion, last + 1.0)


def _outcome(panel: Axes, scores: list[Score], course: Course, first: int, last: int) -> None:
    instrument, _, rater = scores[0].form
    better = "higher" if scores[0].higher_is_better else "lower"
    cutoffs = course.cutoffs.get(scores[0].form, ())
    dashed = f"; dashed: cut-off {', '.join(f'{cutoff:g}' for cutoff in cutoffs)}" if cutoffs else ""
    label(panel, f"Outcome: {instrument}, {rater} ({better} is better{dashed})")
    places = [_place(score, first, last) for score in scores]
    values = [score.value for score in scores]
    panel.plot(places, values, color=MUTED, lw=1.0, marker="o", ms=3.2, mfc=MUTED, clip_on=False)
    # Scores without a session are named, because the axis of sessions says nothing about them.
    for place, score in zip(places, scores, strict=True):
        if score.session is None:
            panel.annotate(
                score.occasion.replace("_", " "),
                (place, score.value),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=MUTED,
            )
    for cutoff in cutoffs:
        panel.axhline(cutoff, color=BAD, lw=0.8, ls=(0, (2, 2)))
        values.append(cutoff)
    room = 0.12 * (max(values) - min(values) or 1.0)
    panel.set_ylim(min(values) - room, max(values) + 2 * room)


_MARKS = {
    "held": ("s", ACCENT, ACCENT),
    "missed": ("x", BAD, BAD),
    "cancelled": ("D", PAPER, BAD),
    "scheduled": ("s", PAPER, MUTED),
}


def _sessions(panel: Axes, course: Course) -> None:
    label(panel, "Sessions")
    panel.set_ylim(-1, 1)
    panel.set_yticks([])
    for status, (mark, fill, edge) in _MARKS.items():
        numbers = [session.number for session in course.sessions if session.status == status]
        if numbers:
            panel.plot(numbers, [0] * len(numbers), mark, ms=4.4, mfc=fill, mec=edge, mew=1.1, label=status)
    if course.sessions:
        signs(panel)
    first, last = _ends(course)
    days = {session.number: session.day for session in course.sessions}
    every = max(1, -(-(last - first + 1) // 14))
    shown = range(first, last + 1, every)
    panel.set_xticks(
        list(shown),
        [
            f"{number}\nday {days[number]}" if days.get(number) is not None else f"{number}"
            for number in shown
        ],
        fontsize=7,
    )


def _ending(panels: list[Axes], course: Course) -> None:
    """A line through all panels where the treatment ended; without one, the course may still go on."""
    if course.ending is None or course.ending.censored:
        return
    _, last = _ends(course)
    for panel in panels:
        panel.axvline(last + 0.55, color=INK, lw=0.9, ls=(0, (1, 1.5)), zorder=0)
    panels[-1].text(last + 0.7, 0, "end", va="center", fontsize=7.5, color=INK)


# --- words ----------------------------------------------------------------------------------


def ending_words(ending: Ending | None) -> str:
    """`ended by the client, not planned (no contact)`; what was not reported is left out."""
    if ending is None or ending.censored:
        return "no end is reported"
    parts = [f"ended by the {ending.initiator}" if ending.initiator else "ended"]
    if ending.planned is not None:
        parts.append("planned" if ending.planned else "not planned")
    reason = f" ({ending.reason.replace('_', ' ')})" if ending.reason else ""
    return ", ".join(parts) + reason


def _caption(course: Course, look: Look) -> str:
    counts = Counter(session.status for session in course.sessions)
    told = ", ".join(f"{counts[status]} {status}" for status in _MARKS if counts[status]) or "none reported"
    band = (
        f"The band rests on {len(_own(course))} ratings of the client."
        if own_band(course, look)
        else f"No band: fewer than {look.band_from} ratings of the client."
    )
    therapists = list(dict.fromkeys(s.therapist_id for s in course.sessions if s.therapist_id))
    with_whom = f" With {', '.join(therapists)}." if therapists else ""
    judged = [f"{form} {rule}: {category}" for form, rule, category in course.judged]
    became = f" Outcome by rule: {'; '.join(judged)}." if judged else ""
    ended = ending_words(course.ending)
    return (
        f"Sessions: {told}; {ended}.{with_whom}{became} {band} No rule for ruptures is the right one: they stand side by side."
        " Censored: ratings stop before a repair could be seen."
    )


_COLUMNS = ("Session", "Day", "Status", "Client", "Therapist", "Outcome", "Rupture by")


def _rows(course: Course) -> tuple[tuple[str, ...], ...]:
    rated: dict[tuple[int, str], list[str]] = defaultdict(list)
    for rating in course.ratings:
        ceiling = " (ceiling)" if rating.at_ceiling else ""
        rated[rating.session, rating.rater].append(f"{rating.value:.2f}{ceiling}")
    scored: dict[int | None, list[str]] = defaultdict(list)
    for score in course.scores:
        where = "" if score.session is not None else f"{score.occasion.replace('_', ' ')}: "
        scored[score.session].append(f"{where}{score.form[0]} {score.value:g}")
    broken: dict[int, list[str]] = defaultdict(list)
    for rupture in course.ruptures:
        until = f" in {rupture.repaired_in}" if rupture.repaired_in is not None else ""
        broken[rupture.session].append(f"{rupture.rule_id} · {rupture.source} ({rupture.status}{until})")
    known = {session.number: session for session in course.sessions}
    numbers = sorted({*known, *broken, *(s for s, _ in rated), *(s for s in scored if s is not None)})
    rows = []
    for number in numbers:
        session = known.get(number)
        day = "" if session is None or session.day is None else str(session.day)
        absent = f" by the {session.absent_by}" if session and session.absent_by else ""
        rows.append(
            (
                str(number),
                day,
                f"{session.status}{absent}" if session else "not reported",
                ", ".join(rated[number, "client"]),
                ", ".join(rated[number, "therapist"]),
                ", ".join(scored[number]),
                ", ".join(broken[number]),
            )
        )
    if scored[None]:
        rows.append(("", "", "", "", "", ", ".join(scored[None]), ""))
    return tuple(rows)
