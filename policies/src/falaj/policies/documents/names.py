"""The names that an element of a policy document lists, made ready to be asked for many."""

from dataclasses import dataclass, field

from falaj.policies.documents.patterns import glob, is_plain, wild
from falaj.policies.values import UNKNOWN, Fact, View


@dataclass(slots=True)
class Names:
    """Patterns without variables, in small letters: plain ones are looked up, only those with wildcards are tried."""

    path: str
    paths: list[str] = field(default_factory=list[str])
    """Where each pattern stands."""
    plain: dict[str, int] = field(default_factory=dict[str, int])
    wild: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    unknown: Fact | None = None
    """The first that is not known: it may be any name."""

    @classmethod
    def read(cls, patterns: View) -> "Names":
        """Read a list of patterns, or a single one."""
        names = cls(patterns.path)
        for position, pattern in enumerate(patterns.each()):
            names.paths.append(pattern.path)
            if pattern.value is UNKNOWN:
                names.unknown = Fact(None, pattern.path) if names.unknown is None else names.unknown
            elif pattern.value is not None:
                text = str(pattern.value).lower()
                if is_plain(text):
                    names.plain.setdefault(text, position)
                else:
                    names.wild.append((position, wild(text)))
        return names

    def include(self, name: str) -> Fact:
        """Return whether one of the patterns matches a name, in small letters; the first that does says where."""
        found = self.plain.get(name, len(self.paths))
        found = next((at for at, pattern in self.wild if at < found and glob(pattern, name)), found)
        if found < len(self.paths):
            return Fact(True, self.paths[found])
        return Fact(False, self.path) if self.unknown is None else self.unknown
