"""Asking an endpoint that speaks the OpenAI chat protocol: bounded parallelism, patience, and a key that stays secret.

Guarantees: 408, 409, 425, 429, 5xx, timeouts, lost connections and answers that are no chat completion are tried
again with exponential back-off and jitter, never sooner than Retry-After says. The key is read from the
environment and goes into the request's header only: it is blotted out of every text that comes back.
Refused, each with its remedy: a key variable that is not set or holds no key, 401 and 403, 404, any other 4xx.
"""

from __future__ import annotations

import email.utils
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

import httpx
import tenacity

from pipeline.engines.judging.replies import Question, Reply
from pipeline.errors import InputError, StageError, StudyError
from pipeline.stages.judge import JudgeConfig

PASSING = (408, 409, 425, 429)
"""Statuses below 500 that another try may mend."""

LONGEST_BACKOFF_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 600.0
"""An endpoint that wants a longer pause than this (a spent daily quota) ends the stage; it resumes later."""

SHOWN_CHARACTERS = 300
RESUMES = "Replies so far are kept: run the same command again, and it goes on from there."


class Endpoint:
    """One endpoint with its key; `ask` may be called any number of times."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self._key = read_key(config.key_variable)
        assert config.url is not None  # JudgeConfig refuses engine openai without one
        self._url = f"{config.url.rstrip('/')}/chat/completions"
        self._client = httpx.Client(
            timeout=config.timeout_seconds,
            limits=httpx.Limits(max_connections=config.parallel),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
        )

    def versions(self) -> dict[str, str]:
        """No package of ours decides the replies."""
        return {}

    def ask(self, questions: Sequence[Question]) -> Iterator[Reply]:
        """Put every question, `config.parallel` at once; replies come as they arrive.

        A further question is put only when a reply has been taken from here: the caller has written it down by
        then, so that a kill loses no more replies than requests may be under way.
        The first failure that another try cannot mend stops new requests; replies under way are still yielded,
        because they are paid for, and then it is raised.
        """
        stop, failure = threading.Event(), None
        left, under_way = iter(questions), set[Future[Reply]]()
        with ThreadPoolExecutor(self.config.parallel) as pool:
            try:
                while True:
                    free = 0 if stop.is_set() else self.config.parallel - len(under_way)
                    under_way |= {
                        pool.submit(self._ask_one, one, stop) for one in itertools.islice(left, free)
                    }
                    if not under_way:
                        break
                    ended = next(iter(wait(under_way, return_when=FIRST_COMPLETED).done))
                    try:
                        yield ended.result()
                    except CancelledError:
                        pass
                    except StudyError as problem:
                        failure = failure or problem
                        stop.set()
                    under_way.discard(ended)
            finally:
                stop.set()
        if failure is not None:
            raise failure

    def _ask_one(self, question: Question, stop: threading.Event) -> Reply:
        """One reply, with patience; a failure stops the others, and theirs that follow from it are no news."""
        if stop.is_set():
            raise CancelledError
        patience = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_PassingError),
            stop=tenacity.stop_after_attempt(self.config.retries + 1) | tenacity.stop_when_event_set(stop),
            wait=self._wait_seconds,
            sleep=tenacity.sleep_using_event(stop),
            reraise=True,
        )
        try:
            answer = patience(self._post, question)
        except _PassingError as problem:
            if stop.is_set():
                raise CancelledError from None
            stop.set()
            tries = patience.statistics["attempt_number"]
            raise StageError(
                f"{_name(question)}: no reply from {self._url} after {tries} tries: {problem.what}", RESUMES
            ) from None
        except StudyError:
            stop.set()
            raise
        return self._read(answer, question, retries=patience.statistics["attempt_number"] - 1)

    def _wait_seconds(self, state: tenacity.RetryCallState) -> float:
        first = self.config.backoff_seconds
        backoff = tenacity.wait_exponential_jitter(
            multiplier=first, max=LONGEST_BACKOFF_SECONDS, jitter=first
        )
        problem = state.outcome.exception() if state.outcome is not None else None
        pause = problem.retry_after if isinstance(problem, _PassingError) else 0.0
        # Everybody is told the same pause: without jitter all would come back at once.
        return max(backoff(state), pause + random.uniform(0, first) if pause else 0.0)

    def _post(self, question: Question) -> dict[str, Any]:
        """One request: the body of a chat completion, or an error that says whether it may pass."""
        asked = self.config
        body: dict[str, Any] = {
            "model": asked.model,
            "messages": list(question.messages),
            "temperature": asked.temperature,
            "max_tokens": asked.max_new_tokens,
        }
        if asked.temperature > 0:
            body["seed"] = question.seed & 0x7FFFFFFF
        try:
            response = self._client.post(self._url, json=body)
        except httpx.TimeoutException:
            raise _PassingError(f"nothing came for {asked.timeout_seconds:g} seconds") from None
        except httpx.TransportError as problem:
            raise _PassingError(self._hide(f"{type(problem).__name__}: {problem}")) from None
        if response.status_code != 200:
            raise self._problem(response, question)
        try:
            answer = response.json()
            answer["choices"][0]["message"]  # what makes it a chat completion
        except (ValueError, LookupError, TypeError):
            raise _PassingError(f"its answer is no chat completion: {self._said(response)}") from None
        return answer

    def _problem(self, response: httpx.Response, question: Question) -> Exception:
        """What a status other than 200 means, in the endpoint's words and ours."""
        status, said = response.status_code, self._said(response)
        variable = self.config.key_variable
        if status in PASSING or status >= 500:
            pause = _read_retry_after(response.headers.get("Retry-After"))
            what = f"{status} {said}"
            if pause > LONGEST_WAIT_SECONDS:
                return StageError(
                    f"{self._url} asks for a pause of {pause:,.0f} seconds: {what}", f"Wait. {RESUMES}"
                )
            return _PassingError(what, pause)
        if status in (401, 403):
            who = f"the key in ${variable}" if variable else "a request without a key"
            remedy = (
                "Check the key and what it may use." if variable else "Name its variable as key_variable."
            )
            return InputError(f"{self._url} refuses {who}: {status} {said}", remedy)
        if status == 404:
            return InputError(
                f"{self._url} does not exist there, or model {self.config.model!r} does not: {said}",
                "Check `url` (a base URL, as a rule ending in /v1) and `model`.",
            )
        return StageError(
            f"{_name(question)}: {self._url} refuses the request: {status} {said}",
            "Its message says why; a text that is too long needs a model with a longer context.",
        )

    def _said(self, response: httpx.Response) -> str:
        """The endpoint's own message on one line, without the key."""
        try:
            error = response.json()["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, LookupError, TypeError):
            text = response.text
        line = " ".join(self._hide(text).split())
        return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"

    def _read(self, answer: dict[str, Any], question: Question, *, retries: int) -> Reply:
        choice = answer["choices"][0]
        message, usage = choice["message"], answer.get("usage")
        text = message.get("content") if isinstance(message, dict) else None
        counts = usage if isinstance(usage, dict) else {}
        return Reply(
            *question.row,
            asking=question.asking,
            text=self._hide(text) if isinstance(text, str) else "",
            finish_reason=str(choice.get("finish_reason")),
            model=self._hide(str(answer["model"])) if answer.get("model") else None,
            tokens_in=_whole(counts.get("prompt_tokens")),
            tokens_out=_whole(counts.get("completion_tokens")),
            retries=retries,
        )

    def _hide(self, text: str) -> str:
        whole = text.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be stored
        return whole.replace(self._key, "[key]") if self._key else whole


class _PassingError(Exception):
    """A failure that another try may mend; `retry_after` is the pause that the endpoint asked for, in seconds."""

    def __init__(self, what: str, retry_after: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.retry_after = what, retry_after


def read_key(variable: str | None) -> str:
    """The key in an environment variable, "" where none is named; messages name the variable, never the value."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {variable} is not set, and the judge's endpoint needs its key",
            f"export {variable}=… in the shell (or the cluster's job environment) that runs the study.",
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise InputError(
            f"the environment variable {variable} holds no key: a key has no spaces and only ASCII characters",
            "Set it again, without line breaks or quotes.",
        )
    return key


def _read_retry_after(value: str | None) -> float:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110, section 10.2.3); 0 where there is none."""
    if value is None:
        return 0.0
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _name(question: Question) -> str:
    return f"problem {question.row[0]!r} (sample {question.row[1]})"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
