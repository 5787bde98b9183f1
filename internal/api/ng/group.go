package ng

import (
	"context"
	"slices"

	"github.com/belay-dev/belay/internal/api"
	"github.com/belay-dev/belay/internal/nextgen"
)

// groupTags answers with the tags that a group of delegates is given. What its delegates say themselves is not among
// them: a client that saved tags must read what it saved.
func (s *Server) groupTags(ctx context.Context, c api.Call) (rest, error) {
	g, err := s.Delegates.Group(ctx, c.Who, c.At, c.Path("id"))
	return rest{nextgen.FromDelegateGroup(g, g.Given)}, err
}

func (s *Server) addGroupTags(ctx context.Context, c api.Call, in nextgen.DelegateGroupTags) (rest, error) {
	return s.tagGroup(ctx, c, func(tags []string) []string { return append(tags, in.Tags...) })
}

func (s *Server) setGroupTags(ctx context.Context, c api.Call, in nextgen.DelegateGroupTags) (rest, error) {
	return s.tagGroup(ctx, c, func([]string) []string { return slices.Clone(in.Tags) })
}

func (s *Server) deleteGroupTags(ctx context.Context, c api.Call) (rest, error) {
	return s.tagGroup(ctx, c, func([]string) []string { return nil })
}

func (s *Server) tagGroup(ctx context.Context, c api.Call, change func(tags []string) []string) (rest, error) {
	g, err := s.Delegates.Tag(ctx, c.Who, c.At, c.Path("id"), change)
	return rest{nextgen.FromDelegateGroup(g, g.Given)}, err
}

// groupsWithTags lists the groups that have every one of some tags, however they came by them, with all that they have.
func (s *Server) groupsWithTags(ctx context.Context, c api.Call, in nextgen.DelegateGroupTags) (rest, error) {
	list, err := s.Delegates.Groups(ctx, c.Who, c.At, slices.DeleteFunc(in.Tags, func(tag string) bool { return tag == "" }))
	out := make([]nextgen.DelegateGroupDTO, len(list))
	for i, g := range list {
		out[i] = nextgen.FromDelegateGroup(g.Group, g.Tags)
	}
	return rest{out}, err
}
