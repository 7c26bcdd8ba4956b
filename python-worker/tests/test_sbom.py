"""`.ci/sbom.py`: an SBOM lists what is really there."""

import importlib.util
import json
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "sbom.py"
spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
sbom = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sbom)


def jar(folder: Path, *libraries: tuple[str, str, str]) -> Path:
    path = folder / "a.jar"
    with zipfile.ZipFile(path, "w") as files:
        for group, name, version in libraries:
            files.writestr(
                f"META-INF/maven/{group}/{name}/pom.properties",
                f"#Created by Maven\ngroupId={group}\nartifactId={name}\nversion={version}\n",
            )
    return path


def bom(folder: Path, *libraries: tuple[str, str, str]) -> Path:
    path = folder / "bom.json"
    components = [{"group": group, "name": name, "version": version} for group, name, version in libraries]
    component = {"group": "dev.vard", "name": "vard", "version": "1"}
    path.write_text(json.dumps({"components": components, "metadata": {"component": component}}), "utf-8")
    return path


def test_what_a_library_bundles_is_added(tmp_path):
    netty, jctools = ("io.netty", "netty-common", "4.2.18.Final"), ("org.jctools", "jctools-core", "4.0.7")
    file = bom(tmp_path, netty)

    sbom.main(["jar", str(jar(tmp_path, netty, jctools)), str(file)])

    purls = [one.get("purl") for one in json.loads(file.read_text("utf-8"))["components"]]
    assert purls == [None, "pkg:maven/org.jctools/jctools-core@4.0.7"]


def test_another_version_than_in_the_jar_is_told(tmp_path):
    file = bom(tmp_path, ("io.netty", "netty-common", "4.2.17.Final"))

    with pytest.raises(sbom.Mismatch, match=r"the jar has io.netty:netty-common 4.2.18.Final, its SBOM 4.2.17.Final"):
        sbom.main(["jar", str(jar(tmp_path, ("io.netty", "netty-common", "4.2.18.Final"))), str(file)])


def test_an_environments_sbom_must_be_whole(tmp_path):
    installed = [("", one.metadata["Name"], one.version) for one in metadata.distributions()]
    sbom.main(["environment", str(bom(tmp_path, *installed))])

    with pytest.raises(sbom.Mismatch, match="torch"):
        sbom.main(["environment", str(bom(tmp_path, *[one for one in installed if one[1] != "torch"]))])
