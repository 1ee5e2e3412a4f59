"""The settings of a project, as frozen types: what each key means, its unit and its default.

Every path is relative to the project's root. Lists stand where one would expect maps with keys of the user's choosing,
because such keys break Invoke's environment loader.

What stands below a key is its meaning for people, everywhere: `./dev schema` makes the tables of `docs/settings.md` and
the JSON Schema of it. What a last sentence "For example ``A``, ``B``." names are examples, as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tinyship.settings import options
from tinyship.settings.grammar import about, check_assignments, check_registry_once, check_repository
from tinyship.settings.hooks import Hook
from tinyship.settings.limits import Size
from tinyship.settings.quantity import parse_bytes, parse_duration
from tinyship.settings.removal import Clean
from tinyship.settings.section import Section
from tinyship.settings.stages import Base, Build, Options, Push, Release
from tinyship.versions import Scheme

IMAGES = """Several images, each with a repository of its own: sections with a ``name``, each laid over the section
around it. An image is made after those that it stands on, others at the same time. For example
``[{name: api, image: lacion/api}, {name: web, image: lacion/web}]``."""
"""What the key ``images`` means, which is read before the settings of each image are."""


class Version(Section, frozen=True):
    """Where the version comes from: git tags (the default), a literal, or a file."""

    tag: str = ""
    """A glob of the git tags that are versions, ``v*`` where nothing is set; what stands before its ``*`` is cut from
    the version. Beside ``literal`` or ``file`` it still says which versions were released before. For example
    ``v*``."""
    scheme: Scheme = "auto"
    """How versions are read and ordered. ``auto``: Semantic Versioning where a version is strictly that, else PEP
    440, which calendar versions are too. ``1.0.0-1`` is a pre-release to the first, a post-release to the second."""
    literal: str = ""
    """The version itself. For example ``"1.10"``."""
    file: str = ""
    """A file that holds the version. For example ``VERSION``."""
    regex: str = ""
    """Finds the version in ``file``; its first group is the version. Without it, the file's text is. For example
    ``'Version = "(.+)"'``."""

    def __post_init__(self) -> None:
        if self.literal and self.file:
            raise ValueError("`literal` and `file` exclude each other")
        if self.regex:
            with about("regex"):
                self._check_regex()

    def _check_regex(self) -> None:
        if not self.file:
            raise ValueError("it needs `file`")
        try:
            groups = re.compile(self.regex).groups
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from error
        if not groups:
            raise ValueError("it needs a group around the version")


class BuilderTls(Section, frozen=True):
    """The certificates for a builder at ``tcp://``, as paths of PEM files; without any of them nothing is encrypted."""

    ca: str = ""
    """What the certificate of a builder at ``tcp://`` is checked against, a PEM file; the system's own where nothing
    is set. For example ``certs/ca.pem``."""
    cert: str = ""
    """Our own certificate, for a builder that asks for one. For example ``certs/cert.pem``."""
    key: str = ""
    """The private key of ``cert``. For example ``certs/key.pem``."""
    server_name: str = ""
    """The name in the builder's certificate; the host of its address where nothing is set. For example
    ``buildkit.example.com``."""

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("`cert` and `key` go together")


_READERS: dict[str, Callable[[str], object]] = {
    "platforms": options.platform,
    "ulimits": options.ulimit,
    "secrets": options.secret,
    "ssh": options.ssh,
    "contexts": options.context,
    "cache_from": options.cache_from,
    "cache_to": options.cache_to,
    "attests": options.attest,
    "insecure": options.registry_host,
    "mirrors": options.mirror,
}


class Settings(Section, frozen=True):
    """One image and how it is made, released and pushed."""

    image: str
    """The repository's name, without a tag, and without a registry where ``push.to`` has some; the one key that has
    to be there. For example ``lacion/foo``."""
    needs: tuple[str, ...] = ()
    """Of an entry of ``images``: the names of others that are released before it. What it takes from another by FROM,
    ``COPY --from``, ``RUN --mount`` or ``contexts`` need not be said. For example ``[api]``."""
    jobs: int = 0
    """How many images are worked on at the same time, at most; 0: twice as many as this machine has processors, from
    4 to 8. Of several images that of the first one counts. For example ``4``."""
    version: Version = Version()
    """Where the version comes from: git tags, a literal, or a file."""
    builder: str = "auto"
    """What builds. ``buildkit`` and ``classic`` are the engine's; ``tcp://host:port`` and ``unix:///path`` are any
    ``buildkitd``; ``auto`` is the engine's BuildKit where it has one. For example ``auto``, ``buildkit``,
    ``classic``, ``tcp://build.example.com:1234``, ``unix:///run/buildkit/buildkitd.sock``."""
    builder_tls: BuilderTls | None = None
    """The certificates for a builder at ``tcp://``; without any of them nothing is encrypted."""
    platforms: tuple[str, ...] = ()
    """Those of the release image; the engine's own where empty. Several need the engine's containerd image store. The
    build stage has none: artifacts come from one container. For example ``[linux/amd64, linux/arm64]``."""
    args: tuple[str, ...] = ()
    """Build arguments, for every Dockerfile that declares them; GIT_COMMIT, VERSION, BUILD_DATE and SOURCE_DATE_EPOCH
    come by themselves. For example ``["FOO=1"]``."""
    labels: tuple[str, ...] = ()
    """Labels of the release image, beside those that come by themselves. For example ``["team=ships"]``."""
    network: str = ""
    """The network of RUN instructions, as ``docker build --network`` takes it. For example ``default``, ``host``,
    ``none``."""
    extra_hosts: tuple[str, ...] = ()
    """Names that RUN instructions know, ``name:address``, as ``docker build --add-host`` takes them. For example
    ``["db:10.1.2.3"]``."""
    shm_size: str = ""
    """The size of /dev/shm in RUN instructions; the engine's own where nothing is set. For example ``128MB``."""
    ulimits: tuple[str, ...] = ()
    """Limits of RUN instructions, ``name=soft[:hard]``. For example ``["nofile=1024:2048"]``."""
    secrets: Options = ()
    """For ``RUN --mount=type=secret``, and read when it asks; with the id alone it is the variable of that name, or
    else the file. For example ``["id=npm,env=NPM_TOKEN"]``, ``["id=npm,src=path"]``, ``["id=npm"]``."""
    ssh: tuple[str, ...] = ()
    """Agents for ``RUN --mount=type=ssh``: ``default`` is that of SSH_AUTH_SOCK, ``ID=path`` another one's socket.
    For example ``[default, other=$HOME/agent.sock]``."""
    contexts: tuple[str, ...] = ()
    """Named contexts, for ``FROM`` and ``COPY --from``: a folder, an image, or what another entry of ``images``
    released. For example ``[lib=../lib]``, ``["base=docker-image://alpine:3.22"]``, ``["api=target:api"]``."""
    cache_from: Options = ()
    """Where every stage may take cached steps from; a reference alone is ``type=registry``. For example
    ``["registry.example.com/foo:cache"]``, ``["type=local,src=cache"]``."""
    cache_to: Options = ()
    """Where the release stage puts its steps; ``mode=max`` puts those of all the stages of its Dockerfile there.
    ``type=inline``, into the image, is all that engines without the containerd image store can do. For example
    ``["type=registry,ref=registry.example.com/foo:cache,mode=max"]``, ``["type=local,dest=cache"]``,
    ``[type=inline]``."""
    no_cache: bool = False
    """Build every step again; ``--no-cache`` on ``release``, ``build`` and ``base``."""
    no_cache_filter: tuple[str, ...] = ()
    """Names of stages in Dockerfiles whose steps are all built again. For example ``[build-stage]``."""
    pull: bool = False
    """Ask the registry for base images even where the engine has them, never for those that are made here; ``--pull``
    on ``release``, ``build`` and ``base``."""
    max_age: str = ""
    """How old images that are made here may become before they are made afresh, without any cache, although nothing
    changed; any age where nothing is set. For example ``7d``, ``36h``."""
    ca: str = ""
    """A PEM file of certificates that are trusted beside the system's: when registries are asked, in builds as the
    secret ``ca``, for ``RUN --mount=type=secret,id=ca``, and in build containers as ``/run/secrets/ca``. For example
    ``certs/company.pem``."""
    proxy: str = ""
    """The proxy on the way to registries, and of RUN instructions and build containers; where nothing is set that of
    the environment (HTTPS_PROXY), and for builds that of the Docker config. For example
    ``http://proxy.example.com:3128``."""
    no_proxy: tuple[str, ...] = ()
    """Hosts with all below them, addresses and networks that need no proxy, beside this machine; where nothing is set
    those of the environment (NO_PROXY), and for builds those of the Docker config. For example ``[.example.com,
    10.0.0.0/8]``."""
    insecure: tuple[str, ...] = ()
    """Registries that plain HTTP may be spoken with; this machine's need not be named. For example
    ``[registry.example.com:5000]``."""
    mirrors: tuple[str, ...] = ()
    """Where tinyship asks first for what a registry has, as far as it only reads and the project does not push it;
    digests are checked all the same. For example ``[docker.io=mirror.example.com/hub]``."""
    attests: Options = ()
    """Attestations of the release image, which is what others get; they need the containerd image store. For example
    ``["type=provenance,mode=max", type=sbom]``."""
    base: tuple[Base, ...] = ()
    """Base images, each built, imported or pulled, in this order."""
    build: Build | None = None
    """The fat image that compiles, and what is run in it; null: there is none."""
    release: Release = Release()
    """The tiny image that ships."""
    push: Push = Push()
    """Where a release goes, under which tags."""
    size: Size = Size()
    """Limits on sizes, and where their history goes beside ``.tinyship/history.jsonl``."""
    clean: Clean = Clean()
    """What stays."""
    hooks: tuple[Hook, ...] = ()
    """What is run before and after stages, in this order."""

    def __post_init__(self) -> None:
        with about("image"):
            check_repository(self.image)
            if self.push.to:
                check_registry_once(self.image)
        with about("args"):
            check_assignments(self.args)
        with about("labels"):
            check_assignments(self.labels)
        if self.jobs < 0:
            raise ValueError("`jobs`: it is at least 1, or 0 for as many as fit")
        with about("builder"):
            options.check_builder(self.builder)
        if self.shm_size:
            with about("shm_size"):
                parse_bytes(self.shm_size)
        if self.max_age:
            with about("max_age"):
                parse_duration(self.max_age)
        for key, read in _READERS.items():
            with about(key):
                options.check_each(getattr(self, key), read)
        if self.proxy:
            with about("proxy"):
                options.check_proxy(self.proxy, self.attests)
        names = [base.name for base in self.base]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"`base`: two entries are named `{name}`")
