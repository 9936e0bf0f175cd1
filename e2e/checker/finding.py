"""What the checker says: one broken rule at one place."""

from dataclasses import dataclass, field

from .rules import RULES


@dataclass(frozen=True)
class Finding:
    """One broken rule. `where` is a line number, a URI or a rendition."""

    rule: str
    message: str
    where: str = ""

    def __str__(self):
        place = f" [{self.where}]" if self.where else ""
        text, clause = RULES[self.rule]
        return f"{self.rule}: {self.message}{place} (rule: {text}; {clause})"


@dataclass
class Report:
    """Collects findings."""

    findings: list = field(default_factory=list)

    def add(self, rule, message, where=""):
        self.findings.append(Finding(rule, message, str(where)))

    def require(self, condition, rule, message, where=""):
        """Adds a finding unless `condition` holds; returns whether it holds."""
        if not condition:
            self.add(rule, message, where)
        return bool(condition)

    def merge(self, findings, where=""):
        for finding in findings:
            place = " ".join(part for part in (where, finding.where) if part)
            self.findings.append(Finding(finding.rule, finding.message, place))

    def rules(self):
        return {finding.rule for finding in self.findings}
