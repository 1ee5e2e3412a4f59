"""Content put into a registry by hand: what no engine here can push, such as indexes."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urljoin

import requests

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Uploads:
    """Puts content into one repository."""

    def __init__(self, host: str, repository: str, auth: Any = None) -> None:
        self.url = f"http://{host}/v2/{repository}"
        self.auth = auth

    def blob(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Upload a blob, and return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = requests.post(f"{self.url}/blobs/uploads/", auth=self.auth, timeout=60)
        begun.raise_for_status()
        where = urljoin(begun.url, begun.headers["Location"])
        requests.put(where, params={"digest": digest}, data=content, auth=self.auth, timeout=60).raise_for_status()
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def manifest(self, document: dict[str, Any], tag: str = "") -> dict[str, Any]:
        """Upload a manifest, under a tag or by its digest only, and return its descriptor."""
        raw = json.dumps(document, indent=3).encode()
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        requests.put(
            f"{self.url}/manifests/{tag or digest}",
            data=raw,
            headers={"Content-Type": document["mediaType"]},
            auth=self.auth,
            timeout=60,
        ).raise_for_status()
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(raw)}

    def image(
        self,
        *layers: bytes,
        platform: str = "linux/amd64",
        tag: str = "",
        labels: dict[str, str] | None = None,
        created: str = "",
    ) -> dict[str, Any]:
        """Upload an image, and return its descriptor with the platform."""
        system, architecture = platform.split("/")
        named = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config: dict[str, Any] = {
            "os": system,
            "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": named},
            **({"config": {"Labels": labels}} if labels else {}),
            **({"created": created} if created else {}),
        }
        document = {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [self.blob(layer, LAYER) for layer in layers],
        }
        return {**self.manifest(document, tag), "platform": {"os": system, "architecture": architecture}}

    def index(self, *entries: dict[str, Any], tag: str) -> dict[str, Any]:
        """Upload an index under a tag, and return its descriptor."""
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}, tag)
