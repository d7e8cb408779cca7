# What the keys service may do in Vault or OpenBao, and nothing else.
#
# It makes a tenant's key-encryption key, wraps under it and unwraps under it. It can neither read a key,
# nor export, back up, configure, rotate, trim or delete one, nor list them: whoever holds this policy can
# use keys, never take them away. The Transit mount belongs to this service alone. This file is written for
# a mount named `transit`; for another name, replace it in the paths.

# One key per tenant, and `signing`, which seals this service's own signing keys; each derived per context.
# `+` is one segment: a trailing `*` would match `keys/tenant-x/rotate` and `keys/tenant-x/config` too.
# Whoever makes a key can choose nothing about it.
path "transit/keys/+" {
  capabilities        = ["update"]
  required_parameters = ["type", "derived"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

# `update` alone: with `create` Transit would make a missing key by itself, under settings of its own.
path "transit/encrypt/+" {
  capabilities        = ["update"]
  required_parameters = ["batch_input"]
}

path "transit/decrypt/+" {
  capabilities        = ["update"]
  required_parameters = ["batch_input"]
}

# A process that drains gives its token back.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
