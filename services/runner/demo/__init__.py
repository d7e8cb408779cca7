"""The demonstration: real conversations sent live through a running deployment, and every count checked.

One process directs (`direct`), others hold the sockets (`crowd`); what each recipient sees is judged by
`witness`, and what everybody counted is compared by `verdict`.
"""
