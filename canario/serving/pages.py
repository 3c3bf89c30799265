"""What a browser is shown: the form, and the documentation for programs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from canario.serving.docs_page import POLICY, docs_page
from canario.serving.http import HTML, Request, Response, json_response
from canario.serving.openapi import document
from canario.serving.routing import Route, Routes
from canario.serving.served import ServedVersion
from canario.web.form import form_page
from canario.web.words import FORM_WORDS, choose_language

_POLICY = b"content-security-policy"


class Pages:
    """The pages of a version; they never change, so they are made once."""

    def __init__(self, served: ServedVersion, examples: Mapping[str, tuple[bytes, bytes]]) -> None:
        openapi = document(served, examples)
        self._openapi = json_response(openapi)
        self._docs = Response(200, docs_page(openapi).encode(), HTML, ((_POLICY, POLICY),))
        forms = {language: form_page(served.card, served.name.tag, language) for language in FORM_WORDS}
        self._forms = {
            language: Response(200, form.html.encode(), HTML, ((_POLICY, form.content_security_policy.encode()),))
            for language, form in forms.items()
        }

    def routes(self) -> Routes:
        """Theirs."""
        return {
            "/": {"GET": Route("form", self._form)},
            "/docs": {"GET": Route("docs", lambda _: self._docs)},
            "/openapi.json": {"GET": Route("docs", lambda _: self._openapi)},
        }

    def _form(self, request: Request) -> Response:
        asked = parse_qs(request.query.decode("latin-1")).get("lang", [""])[0]
        accepted = request.headers.get(b"accept-language", b"").decode("latin-1")
        return self._forms[choose_language(asked, accepted)]
