#!/bin/sh
# Stands in for apt-cache: FAKE_PACKAGES packages in each of six sections, with what makes CSV hard in their texts.
awk -v count="${FAKE_PACKAGES:-120}" 'BEGIN {
  n = split("editors universe/fonts games contrib/net science sound", sections, " ")
  for (s = 1; s <= n; ++s)
    for (i = 1; i <= count; ++i)
      printf "Package: p%d\nDescription: a \"%s\" thing, number %d\n of its kind\nSection: %s\n\n", i, sections[s], i, sections[s]
  print "Package: other\nDescription: a kernel module\nSection: kernel\n"
  print "Package: twice-1\nDescription: in two sections\nSection: net\n"
  print "Package: twice-2\nDescription: in two sections\nSection: sound\n"
  printf "Package: again\nDescription: a \"games\" thing, number 1\nSection: games\n"
}'
