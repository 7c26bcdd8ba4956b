"""Compares an SBOM with what it is of, for `./vard audit`: an SBOM that leaves something out hides its advisories.

python sbom.py jar JAR BOM      adds what libraries bundle within them, which Maven does not know
python sbom.py environment BOM  of the Python that runs this
"""

import json
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path


class Mismatch(Exception):
    """The SBOM says something else than there is."""


def in_jar(jar: Path) -> dict[tuple[str, str], str]:
    """The version of each library, by group and artifact, that left its pom.properties in a jar."""
    found = {}
    with zipfile.ZipFile(jar) as files:
        for name in files.namelist():
            if re.fullmatch(r"META-INF/maven/.+/pom\.properties", name):
                lines = files.read(name).decode("latin-1").splitlines()
                pom = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
                found[pom["groupId"].strip(), pom["artifactId"].strip()] = pom["version"].strip()
    return found


def complete(bom: dict, found: dict[tuple[str, str], str]) -> list[str]:
    """Adds to an SBOM the libraries that it lacks.

    Returns their names. Raises Mismatch where it has one in another version.
    """
    listed = {(c.get("group", ""), c["name"]): c["version"] for c in [*bom["components"], bom["metadata"]["component"]]}
    added = []
    for (group, name), version in sorted(found.items()):
        if (group, name) not in listed:
            purl = f"pkg:maven/{group}/{name}@{version}"
            bom["components"].append({"type": "library", "bom-ref": purl, "group": group, "name": name, "version": version, "purl": purl})
            added.append(f"{group}:{name}:{version}")
        elif listed[group, name] != version:
            raise Mismatch(f"the jar has {group}:{name} {version}, its SBOM {listed[group, name]}: build both anew")
    return added


def check_environment(bom: dict, found: dict[str, str]) -> None:
    """Raises Mismatch unless an SBOM lists exactly these distributions."""
    listed = {normalised(c["name"]): c["version"] for c in bom["components"]}
    installed = {normalised(name): version for name, version in found.items()}
    if listed != installed:
        raise Mismatch(
            f"the environment has {sorted(installed.items() - listed.items())} that its SBOM lacks, and lacks"
            f" {sorted(listed.items() - installed.items())}: delete .vard/audit-tools and try again"
        )


def normalised(name: str) -> str:
    """By PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> None:
    match arguments:
        case ["jar", jar, file]:
            bom = json.loads(Path(file).read_text("utf-8"))
            added = complete(bom, in_jar(Path(jar)))
            Path(file).write_text(json.dumps(bom, indent=2), "utf-8")
            if added:
                print("vard: bundled within other libraries: " + ", ".join(added), file=sys.stderr)
        case ["environment", file]:
            found = {one.metadata["Name"]: one.version for one in metadata.distributions()}
            check_environment(json.loads(Path(file).read_text("utf-8")), found)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Mismatch as e:
        sys.exit(f"vard: {e}")
