module example.com/issuer

go 1.26.0

require cvvrotation v0.0.0

replace cvvrotation => ../../..
