"""Pins the images of docker-compose.yml by digest: `python docker/pin_images.py` writes docker-compose.override.yml, which
`docker compose` reads by itself. Docker asks the images' registries; nothing but Python and Docker is needed."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SERVICE = re.compile(r"^  ([a-z-]+):\n((?:    .*\n|\s*\n|  #.*\n)*)", re.MULTILINE)
_IMAGE = re.compile(r"^    image: (\S+)$", re.MULTILINE)


def main() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    images = {name: found[1] for name, body in _SERVICE.findall(text) if (found := _IMAGE.search(body))}
    pinned = {image: digest_of(image) for image in sorted(set(images.values()))}
    lines = ["# By docker/pin_images.py. To take newer images, delete this file.", "services:"]
    lines += [f"  {name}: {{image: {image}@{pinned[image]}}}" for name, image in images.items()]
    (ROOT / "docker-compose.override.yml").write_text("\n".join(lines) + "\n")
    print(f"docker-compose.override.yml pins {len(pinned)} images for {len(images)} services.")


def digest_of(image: str) -> str:
    """The digest that the image's registry gives for it now; leaves with one line where it gives none."""
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit("error: there is no docker on the PATH: install Docker with its plugin buildx")
    digest = said.stdout.strip()
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        sys.exit(f"error: Docker says no digest of {image}: {' '.join((said.stderr or said.stdout).split())}")
    return digest


if __name__ == "__main__":
    main()
