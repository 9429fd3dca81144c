"""SPAN: margin from sixteen scenarios a contract, and PRiME, the Hong Kong houses' use of it.

A risk parameter file of any house becomes one columnar ``SpanParameters``; everything else is a pure
function of it, of positions and of settings.
"""
