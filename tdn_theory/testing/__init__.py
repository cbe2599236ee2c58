"""For tests of your own products, bounds and potentials; needs `pip install 'tdn-theory[testing]'`.

`strategies` draws what breaks equivariant code, `assertions` says what must hold of products and bounds, `potential`
what must hold of a potential, `tolerances` how exactly. The package's own tests are made of these.
"""
