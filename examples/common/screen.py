"""What a person sees."""

import os
import sys
import time

TERMINAL = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if TERMINAL else text


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


class Steps:
    """Numbered steps, each with what came of it and how long it took."""

    def __init__(self, total):
        self.total, self.at, self.started = total, 0, time.monotonic()

    def run(self, title, work):
        self.at += 1
        head = f"[{self.at}/{self.total}] {title}"
        if TERMINAL:
            print(f"{head} …", end="", flush=True)
        began = time.monotonic()
        result, lines = work()
        took = dim(f"({time.monotonic() - began:.1f} s)")
        print(f"\r{paint('32', '✓')} {head} {took}" if TERMINAL else f"{head} {took}", flush=True)
        for line in lines:
            print(f"      {line}", flush=True)
        return result

    def follow(self, title, work):
        """A step that prints what it sees while it lasts."""
        self.at += 1
        print(f"[{self.at}/{self.total}] {title}", flush=True)
        began = time.monotonic()
        result = work()
        print(f"{paint('32', '✓')} {dim(f'({time.monotonic() - began:.1f} s)')}" if TERMINAL else f"      ({time.monotonic() - began:.1f} s)", flush=True)
        return result


def table(rows):
    """Columns as wide as what is in them; the first row is the heading."""
    widths = [max(len(str(row[n])) for row in rows) for n in range(len(rows[0]))]
    lines = []
    for n, row in enumerate(rows):
        line = "  ".join(str(cell).rjust(width) if i else str(cell).ljust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        lines.append(bold(line) if n == 0 else line)
    return lines
