module github.com/lacion/foo

go 1.22
