"""The Session: everything a picture goes through, in order, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from limner.config import Settings
from limner.engine.backend import Backend, Local
from limner.errors import (
    DeviceError,
    GenerationError,
    InvalidRequest,
    MismatchedWeights,
    ModelNotFound,
    OfflineError,
)
from limner.image import Image
from limner.library.database import NAME as DATABASE
from limner.library.files import decode
from limner.library.metadata import read
from limner.library.store import Library
from limner.marking import Marking
from limner.models.catalog import Catalog
from limner.models.family import Family, Files
from limner.models.links.lock import refuse_other
from limner.models.machine import probe
from limner.models.resolving.resolve import pinned, resolve
from limner.models.upscaling.family import Upscaling
from limner.prompts.expand import Wildcards
from limner.prompts.styles import Style, apply, builtin_styles, choose, load_styles
from limner.sampling.catalog import A1111_NAMES
from limner.session.adapting import files_of
from limner.session.auditing import Auditing
from limner.session.checking import Checking
from limner.session.estimating import estimated, foreseen, learn, with_memory
from limner.session.foreign import Restored, restore
from limner.session.generation import Generation
from limner.session.inputs import PICTURES, given_pictures, take_in
from limner.session.keeping import Keeping
from limner.session.looking import looking_of
from limner.session.origins import record_of
from limner.session.planning import Means, load_family, plans, precheck
from limner.session.replay import Replay, compare, compare_foreign, is_lossless, request_of
from limner.session.scoring import Failures, Scoring
from limner.session.scoring_new import NewPictures
from limner.session.scoring_subjects import Scorable
from limner.session.upscalers import upscaler_files
from limner.session.upscaling import plan_upscaling
from limner.types import Adapter, Drawn, Notice, Plan, Record, Request, Score

OTHER_WEIGHTS = "bring back the files of then, or draw with those that are here: limner replay IMAGE --any-weights"


class Session:
    """Plans, draws, checks, stores.

    ``keep=False`` writes nothing to the library. ``offline`` forbids the network for this session. ``scored=False``
    leaves new pictures unscored, whatever the settings say. ``safety`` (strict, standard, adult) is what is refused,
    ``marks`` (full, metadata, none) and ``metadata`` (full, minimal) say what pictures' files carry, before what the
    settings say. A session keeps its models loaded: make one and use it often; ``close`` it, or use it in a ``with``.
    Raises ``ConfigError``.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        backend: Backend | None = None,
        keep: bool = True,
        offline: bool | None = None,
        batching: str = "alone",
        scored: bool = True,
        safety: str | None = None,
        marks: str | None = None,
        metadata: str | None = None,
    ) -> None:
        loaded = settings or Settings.load()
        self.settings = loaded.protected("Session", level=safety, marks=marks, metadata=metadata)
        self.keep = keep
        self.offline = self.settings.offline if offline is None else offline
        self._batching = batching
        self._backend = backend or Local(self._locate)
        self._files = ThreadPoolExecutor(max_workers=1, thread_name_prefix="limner-files")
        scores = scored and keep
        self._new = NewPictures(self.settings, lambda: self.scoring, self._files) if scores else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is being written, cancel what is being drawn, let go of the models."""
        self._settled()
        self._backend.close()
        self._files.shutdown(wait=True)
        if "scoring" in vars(self):
            self.scoring.close()

    def _settled(self) -> None:
        """Wait for pictures that are being looked at: nobody could do that once the engine has gone."""
        with contextlib.suppress(RuntimeError):  # the pool's own word for "closed"
            self._files.submit(int).result()

    @cached_property
    def library(self) -> Library:
        """The history of pictures, opened when first used."""
        return Library(self.settings.library_root, sampler_names=A1111_NAMES)

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog.load()

    @cached_property
    def styles(self) -> Mapping[str, Style]:
        """Presets by name: the built-in ones and the user's, which win."""
        own = self.settings.styles_file
        return {**builtin_styles(), **(load_styles(own) if own.is_file() else {})}

    @cached_property
    def _means(self) -> Means:
        return Means(
            settings=self.settings,
            catalog=self.catalog,
            machine=probe(),
            styles=self.styles,
            wildcards=Wildcards(self.settings.wildcards),
            offline=self.offline,
            batching=self._batching,
        )

    def plan(
        self,
        request: Request,
        *,
        literal: bool = False,
        parent: str | None = None,
        pinned: Sequence[Adapter] | None = None,
    ) -> tuple[Plan, ...]:
        """Resolve everything, load nothing: one Plan for each run of images with the same words (one, unless the
        prompt has variants or wildcards). Torch-free.

        ``literal`` takes the request as it is: braces are words, and the user's settings add nothing but a device and a
        dtype. ``pinned``, a Record's adapters, says which words and upscalers are which files. Raises
        ``InvalidRequest``, ``ModelError``, ``ConfigError``."""
        made = plans(request, self._means, literal=literal, parent=parent, pinned=pinned)
        return self._weighed(made)

    def foresee(self, request: Request) -> tuple[Plan, ...]:
        """As ``plan``, before any download: of a hub model that is not here only the small files are fetched, and
        ``estimate.download_bytes`` says what drawing would bring. The pictures' identity is already the right one."""
        return self._weighed(foreseen(request, self._means))

    def _weighed(self, made: tuple[Plan, ...]) -> tuple[Plan, ...]:
        """Plans with what they cost in time, and what the checks found in their words. Raises ``Refused``."""
        library = self._library_here() if self.keep else None
        made = tuple(estimated(plan, self.settings, self._means.machine, library) for plan in made)
        made = tuple(with_memory(plan, self._checking.looking.memory(plan)) for plan in made)
        return tuple(self._checking.words(plan) for plan in made)

    def take_in(self, picture: str | Path) -> str:
        """The ``sha256:`` name of a picture for a Request's ``init`` or ``mask``: it is copied into the library's input
        store, where a replay finds it (a session that keeps nothing remembers its place). Raises ``LibraryError``,
        ``StorageError``."""
        return take_in(Path(picture), self.settings, self._means.extras, keep=self.keep)

    def request(self, prompt: str, **fields: object) -> Request:
        """A Request of loose values; ``init`` and ``mask`` may be paths. Raises ``InvalidRequest``, and what
        ``take_in`` does."""
        for name in PICTURES:
            given = fields.get(name)
            if isinstance(given, Path) or (isinstance(given, str) and not given.startswith("sha256:")):
                fields[name] = self.take_in(given)
        return Request.of(prompt=prompt, **fields)

    def plan_upscaling(
        self, picture: str | Path, upscaler: str, *, parent: str | None = None, device: str | None = None
    ) -> Plan:
        """The Plan that enlarges a picture's file by ``upscaler``, ``NAME`` or ``NAME:FACTOR``. Raises
        ``InvalidRequest``, ``ModelError``, ``LibraryError``, ``Refused``."""
        found = read(Path(picture)).record
        words = Path(picture).stem if found is None else found.prompt
        request = self.request(words, init=Path(picture), upscale=upscaler, device=device)
        plan = plan_upscaling(request, self.settings, self._means.machine, self._means.extras, parent)
        return plan if found is None else self._checking.words(plan)  # a file's name is no request

    def precheck(self, request: Request) -> None:
        """Refuse what needs no file of the model to be refused. Raises ``UnsupportedField``, ``Refused``."""
        self.review(request)
        precheck(request, self._means)

    def review(self, request: Request) -> None:
        """Refuse a Request whose words, styles included, the policy forbids, before anything is fetched. ``plan`` does
        so again, wildcards expanded. Raises ``Refused``, ``UnknownName``."""
        styles = choose(request.styles, self.styles)
        self._checking.request(request, *apply(styles, request.prompt, request.negative or ""))

    def generate(
        self, request: Request, *, previews: bool = False, literal: bool = False, parent: str | None = None
    ) -> Generation:
        """Plan now, draw as the result is iterated. Raises what ``plan`` raises."""
        return self.run(self.plan(request, literal=literal, parent=parent), previews=previews)

    def run(self, planned: Sequence[Plan], *, previews: bool = False) -> Generation:
        """Draw Plans as they are. Step previews are withheld where pictures are looked at before they are shown.

        Raises ``ConfigError`` where the settings name scorers or checkers that are not to be had, ``Refused`` where the
        level wants pictures to be looked at and nothing here can."""
        with contextlib.suppress(RuntimeError):  # closed, which drawing will say
            self._files.submit(self._keeping.warm)
        planned = tuple(self._admitted(plan) for plan in planned)
        previews = previews and not any(self._checking.looking.withheld(plan) for plan in planned)
        if self._new is None:
            return Generation(planned, self._backend, self._finish, previews=previews)
        self._new.check()
        return Generation(planned, self._backend, self._finish, previews=previews, settle=self._new.settle)

    def _admitted(self, plan: Plan) -> Plan:
        """A Plan, which may be another session's, at this session's level. Raises ``Refused``, ``ConfigError``."""
        drawn = plan.recipe.family != Upscaling.name  # enlarging reads no words
        return self._checking.admitted(self._checking.words(plan) if drawn else plan)

    def draw(self, prompt: str, **fields: object) -> Image:
        """One picture, now: ``fields`` are the Request's but ``n``; ``init`` and ``mask`` may be paths. Raises any
        ``LimnerError``."""
        request = self.request(prompt, **fields)
        if request.n != 1:
            raise InvalidRequest("n: draw makes one picture", field="n", hint="several: limner.generate(prompt, n=4)")
        return self.generate(request).result()[0]

    @cached_property
    def scoring(self) -> Scoring:
        """The scorers of this session, loaded when first used."""
        return Scoring(self.settings.library_root, self._backend, self.catalog, self._library_here, keep=self.keep)

    def score(
        self,
        images: Sequence[Scorable],
        texts: str | Sequence[str] | None,
        metrics: Sequence[str],
        *,
        force: bool = False,
        failures: Failures | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Score]]:
        """Score pictures (pixels, Images, paths, library ids) against texts, one a picture or one for all (``None``:
        each picture's own words), by metrics of registered names: for each picture its Scores, in the metrics' order.
        Nothing is computed twice: scores go by pixels, scorer, revision and text. Those of pictures in the library are
        stored there too.

        ``force`` lets a scorer of one world judge pictures of unknown origin, and flags those scores. An error of one
        picture (damaged, a text too long, NaN) leaves the others: it goes into ``failures`` by place and metric, and
        that score is left out; without ``failures`` the first is raised when all others are scored and kept.
        ``progress`` is told how many pictures are done.

        Raises ``InvalidRequest`` and ``UnknownName``, ``ScorerOutOfDomain`` before anything is computed,
        ``ModelNotFound`` where a scorer's weights are not here, ``PictureNotFound``, ``UnreadablePicture``,
        ``LibraryError``, ``OutOfMemory``.
        """
        return self.scoring.score(images, texts, metrics, force=force, failures=failures, progress=progress)

    def measure(
        self, images: Sequence[Scorable], metric: str, *, reference: Sequence[Scorable] = (), force: bool = False
    ) -> Score:
        """One Score of several pictures together: diversity, or the distance to ``reference`` pictures. Raises as
        ``score``, and ``InvalidRequest`` for too few pictures."""
        return self.scoring.measure(images, metric, reference=reference, force=force)

    def _library_here(self) -> Library | None:
        """The library, unless there is none yet."""
        return self.library if (self.settings.library_root / DATABASE).is_file() else None

    @classmethod
    def from_pipeline(
        cls, pipeline: object, *, settings: Settings | None = None, keep: bool = True, hashed: bool = True
    ) -> Session:
        """A Session that draws with a diffusers pipeline which is in memory already, as it is: on its device, in its
        number format, with its scheduler and adapters. Its pictures get Records and a place in the library.

        ``hashed=False`` leaves its weights unhashed, which saves a second or two a gigabyte at the first plan; Records
        then cannot say whether two pictures are of the same weights. Raises ``MissingExtra``, and ``ModelError`` for
        what makes no pictures from words.
        """
        from limner.session.from_pipeline import session_of

        return session_of(pipeline, settings=settings, keep=keep, hashed=hashed)

    def replay(self, path: str | Path, *, any_weights: bool = False, model: str | None = None) -> Replay:
        """Draw an image again and compare: ours from its Record, one of the web UI's (or ComfyUI's, InvokeAI's,
        Fooocus') from its settings, with ``model`` instead of the one it names. Raises ``PictureNotFound`` where it
        says nothing of how it was drawn, ``ModelNotFound`` where its model is not here, and ``MismatchedWeights`` where
        the files of our image's model are other ones than then, unless ``any_weights`` is true."""
        unkept = self._unkept()
        if (restored := self.restored(path, model)) is not None:
            drawn = unkept.run(unkept.plan(restored.request, literal=True)).result()[0]
            return compare_foreign(decode(self.file_of(path)), restored, drawn)
        record, where = self.record_of(path)
        image = unkept.run(unkept.plan_again(record, any_weights=any_weights)).result()[0]
        return compare(decode(where), record, image, lossless=is_lossless(where))

    def restored(self, picture: str | Path, model: str | None = None) -> Restored | None:
        """Another program's picture as a Request, and what became of its settings; ``None`` for one with our Record.
        Raises as ``replay``."""
        path = self.file_of(picture)
        found = read(path)
        if found.record is not None or found.brief is not None:
            return None
        return restore(found, self.settings, self.catalog, model=model, name=path.name)

    def file_of(self, picture: str | Path) -> Path:
        """The file of a picture: itself, or the library's by id. Raises ``PictureNotFound``."""
        path = Path(picture)
        return path if path.is_file() else self.library.get(str(picture)).path

    def _unkept(self) -> Session:
        """The same without a library."""
        return Session(settings=self.settings, backend=self._backend, keep=False, offline=self.offline)

    def plan_again(self, record: Record, *, any_weights: bool = False) -> tuple[Plan, ...]:
        """A Plan for the Record's image. Where its device or dtype is not to be had here, what is here is planned, and
        said in the Plan's notices. Raises what ``plan`` raises, and ``MismatchedWeights`` as ``replay`` does."""
        planned = self._planned_again(record)
        if not any_weights:
            for plan in planned:
                refuse_other(record.model, plan.model, what="the picture", hint=OTHER_WEIGHTS)
        return planned

    def _planned_again(self, record: Record) -> tuple[Plan, ...]:
        if record.recipe.family == Upscaling.name:
            extras, pinned = self._means.extras, record.adapters
            plan = plan_upscaling(record.request, self.settings, self._means.machine, extras, pinned=pinned)
            return (self._checking.words(plan),)
        asked = request_of(record)
        # A picture comes from anywhere, and names any repo: nothing is fetched on its word.
        means = replace(self._means, offline=True)

        def planned(request: Request) -> tuple[Plan, ...]:
            return self._weighed(plans(request, means, literal=True, pinned=record.adapters))

        try:
            return planned(asked)
        except OfflineError as error:
            raise ModelNotFound(
                f"the picture was drawn with {record.model.name}, which is not on this machine",
                hint=f"limner models pull {record.model.name} fetches it, if you trust where the picture comes from",
            ) from error
        except DeviceError as error:
            (plan,) = planned(asked.but(device=None, dtype=None))
            notice = Notice(code="other-device", message=f"{error.message}; drawn on {plan.device} instead")
            return (plan.model_copy(update={"notices": (*plan.notices, notice)}),)

    def record_of(self, picture: str | Path) -> tuple[Record, Path]:
        """The birth Record of a picture: a file's own, and where words were kept out of it, or the picture is named by
        its id, the library's. Raises ``PictureNotFound``."""
        return record_of(picture, self.file_of(picture), self._library_here())

    @cached_property
    def marking(self) -> Marking:
        """What writes this session's pictures into files."""
        return Marking.of(self.settings, offline=self.offline)

    def _start_picture(self, request: Request) -> Path | None:
        """The file of a request's start picture."""
        return given_pictures(request, self.settings, self._means.extras).get(request.init or "")

    @cached_property
    def _checking(self) -> Checking:
        looking = looking_of(self.settings, self._backend, self.catalog)
        return Checking(self.settings.protection, looking, Auditing(self.settings), self._means.extras)

    @cached_property
    def _keeping(self) -> Keeping:
        library = self.library if self.keep else None
        return Keeping(self.settings.protection, self._checking, library, self.marking, self._start_picture)

    def _locate(self, plan: Plan) -> tuple[Family, Files]:
        """The family and files of a Plan, also of one that another session made."""
        if plan.recipe.family == Upscaling.name:
            return Upscaling(), Files(Path(), {}, self._extras(plan))
        found, key = self._means.found, plan.model.weights_hash()
        if key not in found:
            resolved = resolve(pinned(plan.model), self.settings, self.catalog, offline=self.offline)
            found[resolved.ref.weights_hash()] = resolved.files
        if key not in found:
            raise MismatchedWeights(
                f"the weights of {plan.model.name} here are not those of the plan",
                hint="plan again, or bring the files the plan was made with",
            )
        return load_family(plan.recipe.family), replace(found[key], extras=self._extras(plan))

    def _extras(self, plan: Plan) -> Mapping[str, Path]:
        """The files a Plan names by hash: adapters and pictures."""
        known = self._means.extras
        if any(adapter.hash not in known for adapter in plan.adapters):
            known.update(files_of(plan.adapters, self.settings))
            known.update(upscaler_files(plan.adapters, self.settings))
        return {
            **{each.hash: known[each.hash] for each in plan.adapters},
            **given_pictures(plan.request, self.settings, known),
        }

    def _finish(self, plan: Plan, drawn: Drawn) -> Future[Image]:
        try:
            return self._files.submit(self._finished, plan, drawn)
        except RuntimeError:  # the pool's own word for "closed"
            refused: Future[Image] = Future()
            refused.set_exception(GenerationError("the session was closed", hint="make a new Session"))
            return refused

    def _finished(self, plan: Plan, drawn: Drawn) -> Image:
        """Check, record, mark, store: on the files thread, which never touches torch."""
        image = self._keeping.finished(plan, drawn)
        learn(image.record, self.settings, self._means.machine)
        if self._new is not None and image.id is not None:
            self._new.add(image)
        return image
