"""Logins and signatures of Huawei Cloud; see `flows.py` for how a client uses them."""

from .credentials import EnvironmentKeys as EnvironmentKeys
from .credentials import Keys as Keys
from .credentials import ProfileKeys as ProfileKeys
from .flows import ScopedAuth as ScopedAuth
from .flows import Send as Send
from .logins import AkSk as AkSk
from .logins import CredentialChain as CredentialChain
from .logins import IamToken as IamToken
from .logins import StaticToken as StaticToken
from .logins import bind as bind
from .regions import REGIONS as REGIONS
from .regions import dli_endpoint as dli_endpoint
from .regions import iam_endpoint as iam_endpoint
from .scope import Scope as Scope
from .temporary import EcsMetadata as EcsMetadata
from .temporary import PodIdentity as PodIdentity
