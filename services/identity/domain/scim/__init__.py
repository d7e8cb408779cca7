"""SCIM 2.0 as pure rules: documents of users, changes of them, and what may be searched for."""
