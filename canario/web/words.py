"""The pages' own words in the languages that they speak; a card's texts stay in the card's language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENGLISH = "en"
BRAZILIAN = "pt-BR"

FORM_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        ENGLISH: {
            "language": "English",
            "skip": "Skip to the answer",
            "inputs": "What is known",
            "optional": "optional",
            "choose": "Choose…",
            "unknown": "Not known",
            "yes": "Yes",
            "no": "No",
            "between": "{low} to {high}",
            "at_least": "{low} or more",
            "at_most": "{high} or less",
            "ask": "Get an answer",
            "asking": "One moment…",
            "again": "Start again",
            "answer": "Answer",
            "empty": "Fill in what is known and the answer appears here.",
            "probably": "Probably {label}",
            "treated": "Treated as {label}",
            "most_likely": "Most likely {label}",
            "chance": "{percent} chance of {label}",
            "less_than": "less than {percent}",
            "more_than": "more than {percent}",
            "threshold": "From a chance of {percent} on, the answer is {label}.",
            "about": "About {value}",
            "exactly": "Exactly {value}",
            "version": "Answered by version",
            "prediction": "Prediction",
            "right": "Was this right?",
            "right_yes": "Yes",
            "right_no": "No",
            "right_no_but": "No, it was {label}",
            "truth": "What was it really?",
            "send": "Send",
            "thanks": "Thank you! That is kept, and version {version} is judged by it.",
            "missing": "Please fill this in.",
            "not_number": "Please write a number.",
            "not_whole": "Please write a whole number.",
            "too_low": "This must be {low} or more.",
            "too_high": "This must be {high} or less.",
            "too_long": "This is too long: at most {most} characters.",
            "refused": "This was not accepted:",
            "network": "The server cannot be reached. Check the connection and try again; what you wrote is still here.",
            "slow": "The server did not answer in time. Please try again; what you wrote is still here.",
            "busy": "The model is not ready or has too much to do at the moment. Please try again in a few seconds.",
            "failed": "Something went wrong on the server (error {status}). Please try again; if it stays, tell its owner.",
            "no_script": "This form needs JavaScript. Programs can send the same to /predict.",
            "served_by": "Version {version}",
            "docs": "For programs",
        },
        BRAZILIAN: {
            "language": "Português",
            "skip": "Ir para a resposta",
            "inputs": "O que se sabe",
            "optional": "opcional",
            "choose": "Escolha…",
            "unknown": "Não se sabe",
            "yes": "Sim",
            "no": "Não",
            "between": "de {low} a {high}",
            "at_least": "{low} ou mais",
            "at_most": "{high} ou menos",
            "ask": "Ver a resposta",
            "asking": "Um momento…",
            "again": "Recomeçar",
            "answer": "Resposta",
            "empty": "Preencha o que se sabe e a resposta aparece aqui.",
            "probably": "Provavelmente {label}",
            "treated": "Tratado como {label}",
            "most_likely": "O mais provável é {label}",
            "chance": "{percent} de chance de {label}",
            "less_than": "menos de {percent}",
            "more_than": "mais de {percent}",
            "threshold": "A partir de {percent} de chance, a resposta é {label}.",
            "about": "Cerca de {value}",
            "exactly": "Exatamente {value}",
            "version": "Respondido pela versão",
            "prediction": "Previsão",
            "right": "Estava certo?",
            "right_yes": "Sim",
            "right_no": "Não",
            "right_no_but": "Não, era {label}",
            "truth": "Qual era a resposta certa?",
            "send": "Enviar",
            "thanks": "Obrigado! Ficou guardado, e a versão {version} será avaliada por isso.",
            "missing": "Preencha este campo.",
            "not_number": "Escreva um número.",
            "not_whole": "Escreva um número inteiro.",
            "too_low": "O valor deve ser {low} ou mais.",
            "too_high": "O valor deve ser {high} ou menos.",
            "too_long": "O texto é longo demais: no máximo {most} caracteres.",
            "refused": "Isto não foi aceito:",
            "network": "Não foi possível falar com o servidor. Verifique a conexão e tente de novo; o que você escreveu continua aqui.",
            "slow": "O servidor não respondeu a tempo. Tente de novo; o que você escreveu continua aqui.",
            "busy": "O modelo não está pronto ou está ocupado demais agora. Tente de novo em alguns segundos.",
            "failed": "Algo deu errado no servidor (erro {status}). Tente de novo; se continuar, avise o responsável.",
            "no_script": "Este formulário precisa de JavaScript. Programas podem enviar o mesmo para /predict.",
            "served_by": "Versão {version}",
            "docs": "Para programas",
        },
    }
)
"""By language; every language has the same words. What stands in braces is filled in, here or in the page's script."""


def choose_language(asked: str, accepted: str) -> str:
    """The language to speak: the one asked for (`?lang=`) if there is such, otherwise the reader's first that there is.

    `accepted` is the `Accept-Language` header; with neither it is English.
    """
    wishes = [asked, *_by_preference(accepted)]
    for wish in wishes:
        tongue = wish.strip().lower().partition("-")[0]
        for language in FORM_WORDS:
            if language.lower().partition("-")[0] == tongue:
                return language
    return ENGLISH


def _by_preference(accepted: str) -> list[str]:
    ranked = []
    for part in accepted.split(","):
        language, _, parameter = part.partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        ranked.append((language, quality))
    return [language for language, quality in sorted(ranked, key=lambda wish: -wish[1]) if quality > 0]
