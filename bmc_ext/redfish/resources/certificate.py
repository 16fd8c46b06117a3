"""CertificateService and the certificate that HTTPS shows."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from bmc_ext.clock import iso8601
from bmc_ext.control.audited import audited
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager_network_protocol import CERTIFICATES
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN
from bmc_ext.security.served_certificate import KEYS, SUBJECT

routes = Routes()

SERVICE = "/redfish/v1/CertificateService"
LOCATIONS = f"{SERVICE}/CertificateLocations"
SERVED = f"{CERTIFICATES}/1"
CSR_INFO = f"{SERVICE}/GenerateCSRActionInfo"
REPLACE_INFO = f"{SERVICE}/ReplaceCertificateActionInfo"
_CSR = f"{SERVICE}/Actions/CertificateService.GenerateCSR"
_REPLACE = f"{SERVICE}/Actions/CertificateService.ReplaceCertificate"

_CURVES = tuple(kind for kind in KEYS if kind.startswith("TPM_ECC"))
_ALGORITHMS = ("TPM_ALG_ECDSA", "TPM_ALG_RSA")
_TYPES = ("PEM", "PEMchain")
_SCHEMA = "Certificate.v1_9_0.Certificate"
_CSR_PARAMETERS = (
    *(Parameter(word, required=word == "CommonName") for word in SUBJECT),
    Parameter("AlternativeNames", "StringArray"),
    Parameter("KeyPairAlgorithm", allowable=_ALGORITHMS),
    Parameter("KeyCurveId", allowable=_CURVES),
    Parameter(
        "CertificateCollection",
        "Object",
        required=True,
        object_type="CertificateCollection.CertificateCollection",
    ),
)
_REPLACE_PARAMETERS = (
    Parameter("CertificateString", required=True),
    Parameter("CertificateType", required=True, allowable=_TYPES),
    Parameter("CertificateUri", "Object", required=True, object_type=_SCHEMA),
)
_USAGES = {
    "digital_signature": "DigitalSignature",
    "content_commitment": "NonRepudiation",
    "key_encipherment": "KeyEncipherment",
    "data_encipherment": "DataEncipherment",
    "key_agreement": "KeyAgreement",
    "key_cert_sign": "KeyCertSign",
    "crl_sign": "CRLSigning",
}
_EXTENDED_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "ServerAuthentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "ClientAuthentication",
}


@routes.get(SERVICE, LOGIN, schema="CertificateService.v1_0_6.CertificateService")
def certificate_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """How a certificate is asked for and replaced."""
    return {
        "Id": "CertificateService",
        "Name": "Certificate Service",
        "CertificateLocations": {"@odata.id": LOCATIONS},
        "Actions": {
            "#CertificateService.GenerateCSR": {
                "target": _CSR,
                REFERENCE: CSR_INFO,
            },
            "#CertificateService.ReplaceCertificate": {
                "target": _REPLACE,
                REFERENCE: REPLACE_INFO,
            },
        },
    }


@routes.get(LOCATIONS, LOGIN, schema="CertificateLocations.v1_0_4.CertificateLocations")
def certificate_locations(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The one place that holds a certificate."""
    return {
        "Id": "CertificateLocations",
        "Name": "Certificate Locations",
        "Links": {"Certificates": [{"@odata.id": SERVED}]},
    }


@routes.get(CERTIFICATES, LOGIN, schema="CertificateCollection.CertificateCollection")
def certificates(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What HTTPS shows: one certificate, its chain in the same text."""
    return {
        "Name": "HTTPS Certificates",
        "Members": [{"@odata.id": SERVED}],
        "Members@odata.count": 1,
    }


@routes.get(SERVED, LOGIN, schema=_SCHEMA)
def certificate(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The certificate that new connections see; its key is never shown."""
    chain = context.certificate.chain
    shown = chain[0]
    encoded = [part.public_bytes(serialization.Encoding.PEM).decode() for part in chain]
    return {
        "Id": "1",
        "Name": "HTTPS Certificate",
        "CertificateString": "".join(encoded),
        "CertificateType": "PEM" if len(chain) == 1 else "PEMchain",
        "CertificateUsageTypes": ["Web"],
        "Subject": _identifier(shown.subject),
        "Issuer": _identifier(shown.issuer),
        "ValidNotBefore": iso8601(shown.not_valid_before_utc.timestamp()),
        "ValidNotAfter": iso8601(shown.not_valid_after_utc.timestamp()),
        "SerialNumber": _octets(shown.serial_number),
        "Fingerprint": shown.fingerprint(hashes.SHA256()).hex(":").upper(),
        "FingerprintHashAlgorithm": "TPM_ALG_SHA256",
        "KeyUsage": _key_usage(shown),
    }


def _octets(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8 or 1).hex(":").upper()


def _identifier(name: x509.Name) -> dict[str, Any]:
    found = {word: name.get_attributes_for_oid(oid) for word, oid in SUBJECT.items()}
    return {word: str(values[0].value) for word, values in found.items() if values}


def _key_usage(shown: x509.Certificate) -> list[str]:
    usages = []
    for extension in shown.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            usages += [word for name, word in _USAGES.items() if getattr(value, name)]
        elif isinstance(value, x509.ExtendedKeyUsage):
            usages += [_EXTENDED_USAGES[oid] for oid in value if oid in _EXTENDED_USAGES]
    return usages


tell(routes, CSR_INFO, _CSR_PARAMETERS)
tell(routes, REPLACE_INFO, _REPLACE_PARAMETERS)


@routes.post(_CSR, CONFIGURE_MANAGER)
def generate_csr(context: Context, request: Request) -> dict[str, Any]:
    """A signing request for a new key, which stays here."""
    body = checked(request.json(), _CSR_PARAMETERS)
    _require_link(body, "CertificateCollection", CERTIFICATES)
    subject = {word: body[word] for word in SUBJECT if word in body}
    names = body.get("AlternativeNames", [])
    kind = _kind_of_key(body)
    planned = {"common_name": subject["CommonName"][:64], "key": kind}
    with audited(context.audit, "certificate.csr", request.who, request.correlation_id, planned):
        try:
            text = context.certificate.request(subject, names, kind)
        except ValueError as error:
            reason = f"the name cannot be certified: {error}"
            raise members.refused("PropertyValueError", reason, "CommonName") from error
    return {"CSRString": text, "CertificateCollection": {"@odata.id": CERTIFICATES}}


def _kind_of_key(body: dict[str, Any]) -> str:
    curve: str = body.get("KeyCurveId", _CURVES[0])
    algorithm: str = body.get("KeyPairAlgorithm", _ALGORITHMS[0])
    return algorithm if algorithm in KEYS else curve


@routes.post(_REPLACE, CONFIGURE_MANAGER)
def replace_certificate(context: Context, request: Request) -> Response:
    """Show another certificate to whoever connects from now on."""
    body = checked(request.json(), _REPLACE_PARAMETERS)
    pem = body["CertificateString"]
    _require_link(body, "CertificateUri", SERVED)
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "certificate.replace", who, correlation_id, {}) as result:
        try:
            context.certificate.replace(pem)
        except ValueError as error:
            reason = f"CertificateString: {error}"
            raise members.refused("PropertyValueError", reason, "CertificateString") from error
        result["serial"] = f"{context.certificate.chain[0].serial_number:x}"
    context.eventing.note_resource("ResourceChanged", SERVED, "Certificate")
    return Response(204, None, {"Location": SERVED})


def _require_link(body: dict[str, Any], name: str, uri: str) -> None:
    """The member as a link to the one thing that it can lead to."""
    link = body[name].get("@odata.id")
    if not isinstance(link, str):
        raise members.wrong_type(name, body[name], "is no link")
    if link.rstrip("/") != uri:
        raise NotFoundError(f"{name}: only {uri} can be named")
