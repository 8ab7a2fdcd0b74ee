"""Pulumi components of a sovereign MLOps platform: keys, stores, network, cluster, GPU pools, tenants, serving."""

import lazy_loader

# A program pays for what it uses: all components together import three seconds of Pulumi's SDKs.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
